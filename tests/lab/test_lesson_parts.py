import pytest
import torch
from torch import nn

from steadytrain.core.errors import UnknownNameError
from steadytrain.lab.datasets import digits
from steadytrain.lab.lesson import schedules
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches
from steadytrain.lab.lesson.cnn import LessonCNN
from steadytrain.lab.lesson.recipes import PEAK_RATE, RECIPES, find_recipe, initialise, weights_of


def batches(seed=0):
    return ShuffledBatches(torch.arange(10), torch.arange(10), batch_size=4, seed=seed)


def order(source):
    return torch.cat([labels for _, labels in source]).tolist()


def test_training_pixels_have_mean_zero_and_deviation_one():
    tensors = ImageTensors.of(digits())
    assert tensors.train_images.shape == (1437, 1, 8, 8)
    assert tensors.train_images.mean().abs() < 1e-5
    assert tensors.train_images.std().item() == pytest.approx(1, abs=1e-3)
    assert tensors.test_images.mean().abs() > 1e-5


def test_an_epoch_shows_each_image_once():
    source = batches()
    assert [len(labels) for _, labels in source] == [4, 4, 2]
    assert len(source) == 3
    assert sorted(order(source)) == list(range(10))


def test_each_epoch_and_each_seed_has_its_own_order():
    source = batches()
    assert order(source) != order(source)
    assert order(batches(seed=0)) != order(batches(seed=1))


def test_the_order_depends_on_the_seed_and_the_epoch_alone():
    first, second = batches(), batches()
    order(first)
    torch.rand(5)
    second.epoch = 1
    assert order(first) == order(second)


def test_taking_batches_goes_on_over_the_epochs():
    assert len(list(batches().take(7))) == 7


@pytest.mark.parametrize("size", [4, 8, 28])
@pytest.mark.parametrize("norm", ["none", "batchnorm", "groupnorm1"])
def test_the_network_takes_images_of_every_size(size, norm):
    assert LessonCNN(norm)(torch.randn(3, 1, size, size)).shape == (3, 10)


def test_a_bias_before_batch_norm_is_dead_weight():
    model = LessonCNN("batchnorm").double()
    model(torch.randn(16, 1, 8, 8, dtype=torch.float64)).square().sum().backward()
    biases = [m.bias.grad for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert max(float(bias.abs().max()) for bias in biases) < 1e-10


def test_a_bias_before_group_norm_is_not():
    torch.manual_seed(0)
    model = LessonCNN("groupnorm1").double()
    model(torch.randn(16, 1, 8, 8, dtype=torch.float64)).square().sum().backward()
    assert model.stages[0].conv.bias.grad.abs().max() > 1e-3


def test_he_by_fan_in_has_the_variance_of_the_paper():
    torch.manual_seed(0)
    model = LessonCNN()
    initialise(model, "fan_in")
    weight = weights_of(model)[2].detach()
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.05)
    assert not model.classifier.bias.any()


def test_only_convolution_and_linear_weights_are_decayed():
    recipe = find_recipe("all tricks")
    model = recipe.build(10)
    decayed, rest = recipe.optimizer(model, PEAK_RATE).param_groups
    assert [p.dim() for p in decayed["params"]] == [4, 4, 4, 2]
    assert all(p.dim() == 1 for p in rest["params"])
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.01, 0.0)


@pytest.mark.parametrize("name", RECIPES)
def test_the_optimizer_holds_every_parameter_once(name):
    model = RECIPES[name].build(10)
    groups = RECIPES[name].optimizer(model, PEAK_RATE).param_groups
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_the_lesson_really_starts_at_the_full_peak():
    rates = [schedules.as_written(5, 50)(step) for step in range(6)]
    assert rates == pytest.approx([1.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_lesson_rises_again_past_the_end():
    schedule = schedules.as_written(5, 50)
    assert schedule(50) == pytest.approx(0)
    assert schedule(80) > 0.5


def test_the_corrected_schedule_starts_low_and_never_rises_again():
    schedule = schedules.corrected(5, 50)
    assert 0 < schedule(0) < 0.5
    assert schedule(80) == 0


@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 469])
@pytest.mark.parametrize("name", RECIPES)
def test_every_length_of_run_has_a_rate_for_each_step(name, num_steps):
    rates = RECIPES[name].rates(num_steps, PEAK_RATE)
    assert len(rates) == num_steps
    assert all(0 < rate <= PEAK_RATE for rate in rates)


def test_an_unknown_configuration_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean batchnorm"):
        find_recipe("batch norm")
