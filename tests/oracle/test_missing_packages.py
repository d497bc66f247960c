"""Parity tests are skipped, and don't fail, where one of the packages that they compare with is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

FILES = [
    "test_inception_torch.py",
    "test_metrics_torch.py",
    "test_similarity_skimage.py",
]
RUN_WITHOUT = """
import sys
import pytest

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.exit(pytest.main(["-q", "-m", "oracle or not oracle", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "package", ["torch", "torchvision", "pytorch_fid", "torch_fidelity", "skimage", "scipy", "safetensors"]
)
def test_a_missing_package_fails_nothing(package):
    files = [Path(__file__).with_name(name) for name in FILES]
    answer = subprocess.run([sys.executable, "-c", RUN_WITHOUT, package, *files], capture_output=True, text=True)
    assert answer.returncode in (0, 5), answer.stdout[-2000:]  # 5: nothing was left to run
    assert "skipped" in answer.stdout
