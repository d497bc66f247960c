"""What tests of the page of a run share: records as training writes them, and a page taken apart."""

import json
from collections import Counter
from html.parser import HTMLParser

import numpy as np
from saying import GAN
from tiny import CONFIG

from minigan.training import RunFolder
from minigan.training.pictures import grid
from minigan.training.report import Report, Status

VOID = {"meta", "link", "img", "input", "path"}
DONE = Status("finished", 12, 1.5)
HOSTILE = "</script><script>owned = 1</script><img src=x onerror='owned = 2'>\"'&amp;<!-- \u202e\x00\ud800 -->"


def records(n, every=10, layers=("G.0", "G.3", "D.0"), seed=0):
    """n records of a run, with everything that can be in them."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        measures = {name: float(rng.normal(1, 0.2)) for name in ("d_loss", "g_loss")}
        opinions = {name: float(rng.uniform(0.1, 0.9)) for name in ("d_real", "d_fake")}
        record = {"step": every * (i + 1), "epoch": 0.5 * i, "seconds": 0.1 * (i + 1), **measures, **opinions}
        record |= {"pictures_per_second": float(rng.normal(900, 20))}
        record["gradients"] = {name: float(10 ** rng.normal(-2, 0.5)) for name in layers}
        record["weights"] = {"G": 0.02 + 0.001 * i, "D": 0.02}
        if i % 5 == 0:
            record |= {"fid": float(rng.uniform(3, 50)), "is": float(rng.uniform(1, 8)), "diversity": 0.9}
        made.append(record)
    return made


def picture(seed=0, size=16, channels=1, n=64):
    """A picture of a run: noise, which is the hardest to make small."""
    return grid(np.random.default_rng(seed).uniform(-1, 1, (n, size, size, channels)))


def make_run(path, n_records=30, n_pictures=3, config=CONFIG):
    """A folder with records and pictures of one exhibit in it."""
    folder = RunFolder(path)
    folder.create(config)
    for record in records(n_records):
        folder.records.add(record)
    for i in range(n_pictures):
        folder.add_picture("samples", 100 * i, picture(i))
    return folder


def page(path, made=(), pictures=(), config=CONFIG, status=DONE, declared=GAN):
    """The text of a page. Pictures are those of "samples", or {name of an exhibit: pictures}."""
    films = pictures if isinstance(pictures, dict) else {"samples": pictures}
    return Report(RunFolder(path), config, declared).html(status, made, films)


class Page(HTMLParser):
    """A page taken apart. Fails if an element isn't closed, or closed in the wrong order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.ids, self._open = [], [], Counter(), []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        self.ids[attributes.get("id")] += 1
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        """The attributes of all elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        """All that can be read, with single spaces."""
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())

    @property
    def data(self):
        """What page.js gets."""
        return json.loads(next(text for tag, text in self.texts if tag == "script"))

    def chart(self, title):
        """The data of one chart."""
        return next(given for given in self.data["charts"] if given["title"] == title)
