"""Every check of this project, one after the other: ``python -m tests.all``.

Ends with pytest's own summary line, and with the first failure's exit code.
"""

import subprocess
import sys

CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("pytest", "-q", "-n", "auto", "--dist", "worksteal"),
)


def main() -> int:
    """Run them all, even after a failure, so that one run names every fault."""
    codes = []
    for check in CHECKS:
        print(f"$ python -m {' '.join(check)}", flush=True)
        codes.append(
            subprocess.run([sys.executable, "-m", *check], check=False).returncode
        )
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
