import pytest

from steadytrain.core.config import Config, find_config, read_config
from steadytrain.core.errors import ConfigError
from steadytrain.core.finding import Severity

KNOWN = {"loss-spike": {"min_steps": 50, "max_ratio": 10.0, "robust": True, "names": ("a",)}}


@pytest.fixture
def written(tmp_path):
    def write(text, name="pyproject.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_reads_every_key(written):
    path = written(
        '[tool.steadytrain]\nselect = ["GRD"]\nignore = ["ACT"]\nfail-on = "critical"\n'
        "[tool.steadytrain.rules.loss-spike]\nmin_steps = 100\n"
    )
    assert read_config(path) == Config(
        path=path,
        select=("GRD",),
        ignore=("ACT",),
        fail_on=Severity.CRITICAL,
        options={"loss-spike": {"min_steps": 100}},
    )


def test_is_all_defaults_where_no_file_says_anything(tmp_path):
    assert find_config(tmp_path) == Config()
    assert Config().fail_on is Severity.WARNING


def test_an_empty_selection_is_not_the_missing_one(written):
    assert read_config(written("[tool.steadytrain]\nselect = []\n")).select == ()


def test_never_fails_on_nothing(written):
    assert read_config(written('[tool.steadytrain]\nfail-on = "never"\n')).fail_on is None


def test_finds_the_nearest_file_that_has_the_table(written, tmp_path):
    outer = written("[tool.steadytrain]\n")
    inner = tmp_path / "project" / "src"
    inner.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("[tool.ruff]\n")
    assert find_config(inner).path == outer


def test_accepts_a_byte_order_mark(written):
    assert read_config(written(b"\xef\xbb\xbf[tool.steadytrain]\n")).select is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[tool.steadytrain]\nselect = ['\xff']\n", "byte 30 is not UTF-8 (found 0xff)"),
        ("[tool.steadytrain\n", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("[tool.ruff]\n", "has no [tool.steadytrain] table"),
        ("tool = 3\n", "has no [tool.steadytrain] table"),
        ("[tool]\nsteadytrain = 3\n", "tool.steadytrain: found 3, expected a table"),
        ("[tool.steadytrain]\nselekt = []\n", "unknown key 'selekt'"),
        ("[tool.steadytrain]\nselect = 'GRD'\n", "select: found 'GRD', expected a list of names"),
        ("[tool.steadytrain]\nignore = [1]\n", "ignore: found [1], expected a list of names"),
        ("[tool.steadytrain]\nfail-on = 'criticl'\n", "Did you mean critical?"),
        ("[tool.steadytrain]\nfail-on = 2\n", "fail-on: found 2, expected one of note"),
        (
            "[tool.steadytrain.rules]\nloss-spike = 1\n",
            "rules.loss-spike: found 1, expected a table",
        ),
    ],
)
def test_refuses_and_names_the_file(written, text, says):
    path = written(text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert says in str(error.value)
    assert str(error.value).startswith(str(path))


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        read_config(tmp_path / "absent.toml")


def test_a_broken_file_on_the_way_is_not_passed_over(written, tmp_path):
    written("[tool.steadytrain\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        find_config(tmp_path)


@pytest.mark.parametrize(
    "options", [{"min_steps": 1, "robust": False}, {"max_ratio": 3}, {"names": ["b"]}, {}]
)
def test_accepts_options_of_the_type_of_their_default(options):
    Config(options={"loss-spike": options}).check_options(KNOWN)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_steps": 1.5}, "min_steps: found 1.5, expected int, like the default 50"),
        ({"min_steps": True}, "found True"),
        ({"max_ratio": float("nan")}, "max_ratio: found nan"),
        ({"max_ratio": "3"}, "found '3'"),
        ({"robust": 1}, "found 1"),
        (
            {"min_step": 1},
            "unknown option 'min_step': expected one of 4 names. Did you mean min_steps",
        ),
    ],
)
def test_refuses_an_option_of_another_type_or_name(options, says):
    with pytest.raises(ConfigError) as error:
        Config(options={"loss-spike": options}).check_options(KNOWN)
    assert says in str(error.value)


def test_refuses_options_of_an_unknown_rule():
    with pytest.raises(ConfigError, match="Did you mean loss-spike"):
        Config(options={"los-spike": {}}).check_options(KNOWN)
