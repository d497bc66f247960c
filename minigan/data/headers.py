"""Check the headers of a folder's pictures, and report which are unusable, misnamed, cropped or shrunk."""

from __future__ import annotations

from minigan.common.terminal import bar
from minigan.data.decode import File, Header, no_warnings, read_header
from minigan.data.kinds import FORMAT_OF
from minigan.data.listing import Listing
from minigan.data.pictures import size_words
from minigan.errors import DataError


def read_headers(
    listing: Listing, size: tuple[int, int], small: list[str] | None = None
) -> tuple[dict[File, Header], list[str]]:
    """Read the headers of all pictures; return those of usable pictures, and a sentence for each unusable one.

    The sentences about pictures that are smaller than `size` are appended to `small` instead, if it is given.
    """
    headers: dict[File, Header] = {}
    bad: list[str] = []
    with no_warnings(), bar(total=len(listing.pictures), desc="reading headers") as shown:
        for _, path in listing.pictures:
            try:
                header = read_header(path)
            except DataError as error:
                bad.append(str(error))
            else:
                if too_small := _too_small(header, path, size):
                    (bad if small is None else small).append(too_small)
                else:
                    headers[path] = header
            shown.update()
    return headers, bad


def _too_small(header: Header, path: File, size: tuple[int, int]) -> str:
    """Return a sentence if a picture is smaller than `size`, else ""."""
    shrink = min(header.size[0] / size[0], header.size[1] / size[1])
    if shrink >= 1:
        return ""
    most = min(header.size) if size[0] == size[1] else size_words(int(size[0] * shrink), int(size[1] * shrink))
    found = f"{path} is {size_words(*header.size)}{_axis_order(header.size)}, smaller than {size_words(*size)}"
    return f"{found}: use `img_size` {most} or less, or take it out of the folder"


def without_crops(small: int, n: int, size: tuple[int, int]) -> str:
    """Return a note about the `small` of n pictures that are passed over, "" if there are none."""
    if not small:
        return ""
    are = "is" if small == 1 else "are"
    what = f"{small:,} of {n:,} pictures {are} passed over, smaller than crops of {size_words(*size)}"
    return f"{what}: a smaller `img_size` uses {'it' if small == 1 else 'them'}"


def _axis_order(*sizes: tuple[int, int]) -> str:
    """Return the words that explain sizes in a sentence, "" if all are square."""
    return "" if all(height == width for height, width in sizes) else " in height x width"


def misnamed(headers: dict[File, Header]) -> str:
    """Return a note about files whose content has another format than their suffix says. They are read all the same."""
    found = [(path, header) for path, header in headers.items() if FORMAT_OF[path.suffix.lower()] != header.format]
    if not found:
        return ""
    path, header = found[0]
    if len(found) == 1:
        return f"{path.name} is {header.format} by its content"
    return f"{len(found):,} files are of another format than their names say, such as {path.name}, a {header.format}"


def resized(sizes: list[tuple[int, int]], size: tuple[int, int], default: bool) -> str:
    """Return a note about pictures that are cropped or shrunk, "" if there are none."""
    altered = [other for other in sizes if other != size]
    if not altered:
        return ""
    shape = "the square" if size[0] == size[1] else f"the aspect of {size_words(*size)}"
    cut = any(other[0] * size[1] != other[1] * size[0] for other in altered)
    of = _range(altered, size)
    which = ", the default" if default else ""
    n = f"all {len(sizes):,}" if len(altered) == len(sizes) else f"{len(altered):,} of {len(sizes):,}"
    which_are = f"the picture ({of}) is" if len(sizes) == 1 else f"{n} pictures ({of}) are"
    how = f"cut to {shape} at their center and " if cut else ""
    return f"{which_are} {how}shrunk to {size_words(*size)}{which}: `img_size` gives another size"


def cropped(sizes: list[tuple[int, int]], size: tuple[int, int], default: bool, kept: int) -> str:
    """Return a note about pictures that training takes random crops of, "" if all have the size of the crops.

    kept: the bytes of pictures that stay in memory
    """
    altered = [other for other in sizes if other != size]
    if not altered:
        return ""
    which = ", the default" if default else ""
    where = f"of the pictures ({_range(altered, size)}), at their own scale"
    needed = 3 * sum(height * width for height, width in sizes)
    again = (
        f"; they take {needed / 2**30:.1f} GiB, of which {kept / 2**30:.1f} stay in memory, the rest is decoded again"
    )
    again = f"{again} for every crop, which is slow: shrink them, or use fewer by `limit`" if needed > kept else ""
    return f"training takes random crops of {size_words(*size)}{which}, {where}: `img_size` gives another size{again}"


def _range(sizes: list[tuple[int, int]], size: tuple[int, int]) -> str:
    """Describe the smallest and largest of some sizes, such as `64x64 to 80x96 in height x width`."""
    smallest, largest = min(sizes, key=min), max(sizes, key=max)
    of = size_words(*smallest) + ("" if smallest == largest else f" to {size_words(*largest)}")
    return of + _axis_order(smallest, largest, size)
