"""`python -m tests.fuzz.worker NAME [libFuzzer's options and folders]`: one target, one process.

Coverage comes from instrumented bytecode of `dovetail`; libFuzzer chooses the inputs.
"""

import importlib
import shlex
import sys

import atheris


def main() -> None:
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["dovetail"], enable_loader_override=False):
        target = importlib.import_module("tests.fuzz.registry").TARGETS[name]
    # When it merges, libFuzzer starts itself anew, by a shell, from its first argument.
    itself = f"{shlex.quote(sys.executable)} -m tests.fuzz.worker {name}"
    atheris.Setup([itself, *options], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
