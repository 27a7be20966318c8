"""A test case that runs packages in the stock runtime."""
from .runtime import StockRuntime
from .tool import TempDirCase


class RuntimeCase(TempDirCase):
    """`self.runtime` is one worker for the whole class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runtime = StockRuntime()

    @classmethod
    def tearDownClass(cls):
        cls.runtime.close()
        super().tearDownClass()
