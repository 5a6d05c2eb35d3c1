"""Where nbval compares outputs (pytest --nbval), words must be equal and numbers agree as
publish/agree.py says.
"""

import sys
from pathlib import Path

from nbval.plugin import IPyNbCell

sys.path.insert(0, str(Path(__file__).parent / "publish"))
import agree

exactly = IPyNbCell.compare_outputs


def compare_outputs(self, test, ref, skip_compare=None):
    return exactly(
        self, agree.settled_outputs(test, ref, agree.tolerance_of(self.cell)), ref, skip_compare
    )


IPyNbCell.compare_outputs = compare_outputs
