"""What `minigan evaluate` prints."""

from __future__ import annotations

import textwrap
from typing import Any

from minigan.metrics import Evaluation
from minigan.model import Judgement

NAMES = {
    "fid": "FID",
    "is": "Inception Score",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "ssim": "SSIM",
    "psnr": "PSNR",
}


def print_judgements(found: dict[str, float], judgements: dict[str, Judgement], source: str) -> None:
    """A model's own judgements, on `source`."""
    print(f"judged on  {source}\n")
    for name, value in found.items():
        one = judgements[name]
        notes = ", ".join(filter(None, (f"{one.better} is better" if one.better else "", one.note)))
        print(f"{one.words:20} {value:9.4f}{f'   ({notes})' if notes else ''}")


def print_answer(answer: Evaluation) -> None:
    """The figures of an evaluation, what was measured, and what they can't be compared with."""
    print(f"pictures   {answer.source}")
    if answer.reference:
        print(f"reference  {answer.reference}")
    print(f"features   {answer.network}")
    print(f"resizer    {answer.resizer}\n")
    values = answer.values
    for name, shown in NAMES.items():
        if name in values:
            shown += f", {answer.features}" if name in ("fid", "kid") else ""
            spread = f" ± {values[name + '_std']:.4f}" if name + "_std" in values else ""
            print(f"{shown:20} {values[name]:9.4f}{spread}")
    if "shares" in values:
        print_classes(values)
    for caveat in answer.caveats:
        print(f"\n{textwrap.fill('note: ' + caveat, 100)}")


def print_classes(values: dict[str, Any]) -> None:
    """What a classifier says: how sure it is, of which classes the samples are, and whether that was asked for."""
    shares, right = values["shares"], values.get("right_of", {})
    print(f"{'sure of a class':20} {100 * values['sure']:7.1f} %")
    print(f"{'classes drawn':20} {values['classes_present']:4} of {len(right) or len(shares) - 1}")
    if right:
        print(f"{'as it was asked':20} {100 * values['right']:7.1f} %")
    print("\n" + " " * 15 + "".join(f"{name:>6}" for name in shares))
    print(f"{'% of samples':15}" + "".join(f"{100 * share:6.1f}" for share in shares.values()))
    if right:
        cells = (f"{100 * right[name]:6.1f}" if name in right else f"{'':6}" for name in shares)
        print(f"{'% as asked':15}" + "".join(cells).rstrip())
