"""Shell: the library of the guard in JavaScript is there. Without it its test is skipped, and CI must not skip it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

NODE_MODULES: Final = Path(__file__).resolve().parent.parent / "examples" / "node-guard" / "node_modules"

if __name__ == "__main__":
    if not (NODE_MODULES / "nats").is_dir():
        print("examples/node-guard/node_modules/nats is missing: run `sh scripts/bootstrap` where npm has a registry")
        sys.exit(1)
