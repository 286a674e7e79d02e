import subprocess
import sys

import pytest

import dovetail.regtest


def test_importing_the_package_loads_neither_kernel_nor_server():
    code = (
        "import sys, dovetail.regtest;"
        "print(sorted({'pbk', 'uvicorn', 'starlette', 'msgspec'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", dovetail.regtest.__all__)  # type: ignore[attr-defined]
def test_every_public_name_can_be_had(name):
    assert getattr(dovetail.regtest, name).__name__ == name


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="surprise"):
        _ = dovetail.regtest.surprise  # type: ignore[attr-defined]
