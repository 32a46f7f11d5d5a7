"""A disk whose flushes cost something, for every process that is started meanwhile: what a commit waits for in most
hospitals (network storage, disks without a protected cache) and not on the machines that benchmarks run on."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The C library's two flushes, each a while later.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int later(const char *name, int file)
{
    int (*flush)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    long microseconds = atol(getenv("FLUSH_MICROSECONDS"));
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&pause, NULL);
    return flush(file);
}

int fsync(int file) { return later("fsync", file); }
int fdatasync(int file) { return later("fdatasync", file); }
"""


@contextmanager
def slow_flushes(milliseconds: float) -> Iterator[bool]:
    """Whether it could be done: it needs a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        yield False
        return
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "flush.c", Path(folder) / "flush.so"
        source.write_text(SOURCE)
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        Path(folder).chmod(0o755)  # PostgreSQL runs under an account of its own
        os.environ.update(LD_PRELOAD=str(library), FLUSH_MICROSECONDS=str(int(milliseconds * 1000)))
        try:
            yield True
        finally:
            del os.environ["LD_PRELOAD"], os.environ["FLUSH_MICROSECONDS"]
