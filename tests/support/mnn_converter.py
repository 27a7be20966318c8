"""MNN's stock converter (the wheel), in a process of its own.

What it prints and its exit status prove nothing: whoever calls it looks at what the result computes. The wheel's console
script would first install a package and report usage over the network; the code behind it is called directly."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT_SECONDS = 120


class StockConverter:
    """One worker for many conversions, started again after a crash."""

    def __init__(self):
        self.process = None

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.process.stdout.close()
            self.process = None

    def convert(self, directory, *arguments):
        """Makes llm.mnn and llm.mnn.weight of `directory`/llm.onnx, beside it, from scratch."""
        directory = pathlib.Path(directory)
        for name in ("llm.mnn", "llm.mnn.weight"):
            (directory / name).unlink(missing_ok=True)
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
        try:
            self.process.stdin.write(json.dumps([str(directory), *map(str, arguments)]) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self.process.wait(timeout=TIMEOUT_SECONDS)
            self.process = None
            raise AssertionError(f"the stock converter died with exit code {code} on {directory}")
        if not (directory / "llm.mnn").exists():
            raise AssertionError(f"the stock converter wrote no llm.mnn for {directory}")


def _serve():
    """One JSON list per line on stdin, one line on the real stdout when it is done; the converter's chatter goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import MNN  # noqa: F401  (its libraries)
    import _tools
    for line in sys.stdin:
        directory, *arguments = json.loads(line)
        # It leaves a scratch file in the current directory.
        with tempfile.TemporaryDirectory() as work:
            os.chdir(work)
            _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", directory + "/llm.onnx", "--MNNModel", directory + "/llm.mnn",
                               "--saveExternalData", "--transformerFuse", *arguments])
            os.chdir("/")
        answers.write("\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
