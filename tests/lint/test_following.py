"""Names are followed through assignments, calls, classes and closures, and no further."""

import pytest

from steadytrain.lint import lint_source

LOOP = """import torch
import torch.nn.functional as F

def make():
    net = torch.nn.Linear(4, 3)
    return net, torch.optim.Adam(net.parameters())

{helpers}
model, opt = make()
for x, y in loader:
    loss = F.cross_entropy(model(x), y)
{body}
"""


def names(body, helpers=""):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return [finding.name for finding in lint_source(LOOP.format(body=lines, helpers=helpers))]


def test_a_bare_loop_is_flagged():
    assert names("loss.backward()\nopt.step()") == ["missing-zero-grad"]


@pytest.mark.parametrize(
    "helpers",
    [
        "def clear(o):\n    o.zero_grad()",
        "def clear(o):\n    for p in o.param_groups[0]['params']:\n        p.grad = None",
        "class Clearer:\n    def __call__(self, o):\n        o.zero_grad(set_to_none=True)\nclear = Clearer()",
        "from elsewhere import clear",
        "def inner(o):\n    o.zero_grad()\ndef clear(o):\n    inner(o)",
        "clear = lambda o: o.zero_grad()",
    ],
)
def test_clearing_in_a_helper_counts_and_what_cannot_be_seen_is_trusted(helpers):
    assert names("clear(opt)\nloss.backward()\nopt.step()", helpers) == []


def test_a_helper_that_does_not_clear_does_not_count():
    helper = "def show(o):\n    print(o)"
    assert names("show(opt)\nloss.backward()\nopt.step()", helper) == ["missing-zero-grad"]


@pytest.mark.parametrize(
    "clearing", ["opt.zero_grad()", "model.zero_grad(set_to_none=True)", "if x.sum() > 0: opt.zero_grad()",
                 "[p.grad.zero_() for p in model.parameters()]"]
)  # fmt: skip
def test_every_way_to_clear_counts(clearing):
    assert names(f"{clearing}\nloss.backward()\nopt.step()") == []


def test_a_step_on_another_branch_than_the_backward_is_not_the_same_step():
    body = "if x.any():\n    loss.backward()\nelse:\n    opt.step()\n    opt.zero_grad()"
    assert names(body) == []


def test_softmax_is_followed_out_of_a_class_into_the_loss():
    text = """import torch
from torch import nn
class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        y = self.fc(x)
        return y.softmax(-1)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = Head()
    def forward(self, x):
        return self.head(x)
def run(net, criterion):
    return criterion(net(x), y)
run(Net(), nn.CrossEntropyLoss())
"""
    assert [finding.name for finding in lint_source(text)] == ["softmax-before-cross-entropy"]


@pytest.mark.parametrize(
    "line",
    [
        "y = self.fc(x) if self.training else self.fc(x).softmax(-1)",
        "y = other(self.fc(x)).detach()",
    ],
)
def test_an_output_whose_form_is_not_sure_is_trusted(line):
    text = f"""import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        {line}
        return y
net, criterion = Net(), nn.CrossEntropyLoss()
criterion(net(x), y)
"""
    assert lint_source(text) == []


def test_a_name_that_shadows_an_import_is_not_the_import():
    text = "import torch.nn.functional as F\ndef f(F):\n    return F.softmax(x)\n"
    assert lint_source(text) == []


def test_methods_of_a_base_class_in_the_file_are_followed():
    text = """import torch
class Base:
    def optimise(self, loss):
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
class Mine(Base):
    def __init__(self, net):
        self.net = net
        self.opt = torch.optim.SGD(net.parameters(), lr=0.1)
    def fit(self, loader):
        for x in loader:
            self.optimise(self.net(x).mean())
"""
    assert lint_source(text) == []
    assert [f.name for f in lint_source(text.replace("        self.opt.zero_grad()\n", ""))] == [
        "missing-zero-grad"
    ]
