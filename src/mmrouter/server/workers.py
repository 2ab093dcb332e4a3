"""Several processes that share a port."""

from __future__ import annotations

import os
import signal

from uvicorn.supervisors import Multiprocess


class Workers(Multiprocess):
    """uvicorn's, but that SIGHUP makes workers read the config anew instead of replacing them: an
    answer that takes longer than a drain is not cut off."""

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)
