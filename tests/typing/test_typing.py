"""The client program whose types CI checks also runs."""

import importlib.util
from pathlib import Path

CLIENT = Path(__file__).parent / "client.py"


def test_the_client_runs(capsys):
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    client.main()
    shown = capsys.readouterr().out
    assert "G begins with" in shown
    assert "x has shape (0, 3), so nothing can be checked" in shown


def test_the_package_says_that_it_has_types():
    import minigan

    assert (Path(minigan.__file__).parent / "py.typed").exists()
