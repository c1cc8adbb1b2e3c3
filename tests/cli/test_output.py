import os

from steadytrain.cli._output import print_json, say, stdout_to_stderr


def test_json_is_strict_where_numbers_are_not_finite(capsys):
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": (1, None, True)}})
    assert capsys.readouterr().out == (
        '{\n  "a": "nan",\n  "b": [\n    "inf",\n    1.5\n  ],\n'
        '  "c": {\n    "d": [\n      1,\n      null,\n      true\n    ]\n  }\n}\n'
    )


def test_say_keeps_lines_and_shows_what_would_act(capsys):
    say("one\ntwo\x07")
    assert capsys.readouterr().err == "one\ntwo\\x07\n"


def test_stdout_is_kept_clean_above_and_below_python(capfd):
    with stdout_to_stderr():
        print("from Python")
        os.write(1, b"from below\n")
    print("the answer")
    out, err = capfd.readouterr()
    assert out == "the answer\n"
    assert "from Python" in err
    assert "from below" in err
