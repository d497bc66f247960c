"""`minigan completion`: a script by which a shell completes commands, options, and names of models and data sets.

Everything in it is taken from the argument parsers of the commands, so nothing has to be listed here.
"""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minigan.bench.workloads import WORKLOADS
from minigan.commands import options
from minigan.commands.cli import COMMANDS, Parser
from minigan.data import DATASETS
from minigan.models import MODELS

NAMES = {"MODEL": MODELS, "DATA": DATASETS, "WORKLOAD": WORKLOADS}  # by metavar
LONGEST = 70  # characters of a help text
INSTALL = {
    "bash": "add to ~/.bashrc:  source <(minigan completion bash)",
    "zsh": "add to ~/.zshrc, after compinit:  source <(minigan completion zsh)",
    "fish": "minigan completion fish > ~/.config/fish/completions/minigan.fish",
}


@dataclass(frozen=True)
class Argument:
    """An option, or the arguments without one: `names` is then empty.

    words: what it may be; files: whether it may be a path. A flag takes no value.
    """

    names: tuple[str, ...]
    help: str
    flag: bool
    words: tuple[str, ...]
    files: bool


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.epilog = "to install:\n" + "\n".join(f"  {how}" for how in INSTALL.values())
    parser.add_argument("shell", choices=tuple(INSTALL), help="the shell that the script is for")


def main(args: argparse.Namespace) -> int:
    """Print the script."""
    commands = {name: _arguments_of(name) for name in COMMANDS}
    print(f"# {INSTALL[args.shell]}\n{SHELLS[args.shell](commands)}", end="")
    return 0


def _arguments_of(command: str) -> list[Argument]:
    """Return the options of a command, without hidden ones, and one `Argument` for its other arguments."""
    parser = Parser([], prog=f"minigan {command}")
    importlib.import_module(COMMANDS[command][0]).add_arguments(parser)
    found = [_argument(action) for action in parser._actions if action.help != argparse.SUPPRESS]
    others = [argument for argument in found if not argument.names]
    words = tuple(word for argument in others for word in argument.words)
    files = any(argument.files for argument in others)
    return [*(argument for argument in found if argument.names), Argument((), "", False, words, files)]


def _argument(action: argparse.Action) -> Argument:
    """Return what is known of an argument of a parser."""
    names = NAMES.get(str(action.metavar or action.dest.upper()), ())
    words = tuple(map(str, action.choices or names))
    files = not action.choices and action.type in (None, Path, options.place, options.word)
    told = (action.help or "").replace("%%", "%").partition(" (default:")[0]
    told = told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
    return Argument(tuple(action.option_strings), told, action.nargs == 0, words, files)


def _bash(commands: dict[str, list[Argument]]) -> str:
    """Return the script for bash. Where it offers nothing, bash completes paths (-o default)."""
    cases = [f'    "") words="{" ".join(commands)}" options="--help --version" ;;']
    for command, arguments in commands.items():
        flags = [name for argument in arguments for name in argument.names]
        cases.append(f'    {command})\n      options="{" ".join(flags)}" words="{" ".join(arguments[-1].words)}"')
        cases.append('      case "$prev" in')
        for argument in arguments[:-1]:
            if argument.flag:
                continue
            offers = [f'COMPREPLY=($(compgen -W "{" ".join(argument.words)}" -- "$cur"))'] if argument.words else []
            offers += [] if argument.files else ["compopt +o default 2>/dev/null"]
            cases.append(f"        {'|'.join(argument.names)}) {'; '.join([*offers, 'return'])} ;;")
        cases.append("      esac ;;")
    return BASH.replace("CASES", "\n".join(cases))


BASH = """\
_minigan() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" options="" words="" i
  [ "$prev" = "=" ] && prev="${COMP_WORDS[COMP_CWORD-2]}"
  [ "$cur" = "=" ] && cur=""
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in -*) ;; *) command="${COMP_WORDS[i]}"; break ;; esac
  done
  COMPREPLY=()
  case "$command" in
CASES
  esac
  case "$cur" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
  esac
}
complete -o default -F _minigan minigan
"""


def _zsh(commands: dict[str, list[Argument]]) -> str:
    """Return the script for zsh."""
    described = " ".join(shlex.quote(f"{name}:{COMMANDS[name][1]}") for name in commands)
    cases = []
    for command, arguments in commands.items():
        specs = [_zsh_spec(name, argument) for argument in arguments for name in argument.names or ("*",)]
        cases.append(f"      {command}) _arguments \\\n        " + " \\\n        ".join(specs) + " ;;")
    return ZSH.replace("COMMANDS", described).replace("CASES", "\n".join(cases))


def _zsh_spec(name: str, argument: Argument) -> str:
    """Return the specification of an argument for _arguments."""
    told = argument.help
    for character in "\\[]:":
        told = told.replace(character, f"\\{character}")
    offers = [f"compadd -- {' '.join(argument.words)}"] if argument.words else []
    offers += ["_files"] if argument.files else []
    action = f":value:{{{'; '.join(offers)}}}" if offers else ":value: "
    if not argument.names:
        return shlex.quote(f"*{action}")
    equals = "=" if name.startswith("--") and not argument.flag else ""
    return shlex.quote(f"{name}{equals}[{told}]" + ("" if argument.flag else action))


ZSH = """\
_minigan() {
  local -a commands
  local state line
  commands=(COMMANDS)
  _arguments -C '(- *)--help[show the help]' '(- *)--version[show the version]' '1:command:->command' '*::rest:->rest'
  case $state in
    command) _describe command commands ;;
    rest) case $words[1] in
CASES
    esac ;;
  esac
}
compdef _minigan minigan
"""


def _fish(commands: dict[str, list[Argument]]) -> str:
    """Return the script for fish."""
    lines = ["complete -c minigan -f"]
    for command, arguments in commands.items():
        lines.append(f"complete -c minigan -n __fish_use_subcommand -a {command} -d {_quoted(COMMANDS[command][1])}")
        when = f"complete -c minigan -n '__fish_seen_subcommand_from {command}'"
        for argument in arguments:
            names = [_fish_option(name) for name in argument.names]
            value = "" if argument.flag or not names else " -r" if argument.files else " -x"
            value += " -F" if argument.files else ""
            value += f" -a {_quoted(' '.join(argument.words))}" if argument.words else ""
            told = f" -d {_quoted(argument.help)}" if argument.help else ""
            if names or value:
                lines.append(f"{when}{''.join(names)}{value}{told}")
    return "\n".join(lines) + "\n"


def _fish_option(name: str) -> str:
    return f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"


def _quoted(text: str) -> str:
    """Quote text for fish, in which a backslash in single quotes escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[dict[str, list[Argument]]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
