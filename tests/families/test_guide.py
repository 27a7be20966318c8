#!/usr/bin/env python3
"""The steps of docs/adding-a-family.md, done as the page says, with its own file."""
import json
import pathlib
import re
import shlex
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from families.test_from_disk import contents  # noqa: E402
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import ROOT, export, run  # noqa: E402

# The addition that the page walks through.
FAMILY, FIXTURE = "granite", "granite_multipliers"


class Guide(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        page = (ROOT / "docs" / "adding-a-family.md").read_text()
        section = page[page.index("## A real addition"):]
        cls.steps = section[:section.index("\n## ", 1)]
        cls.file = cls.tmp / f"{FAMILY}.toml"
        cls.file.write_text(re.search(r"```toml\n(.*?)```", cls.steps, re.S).group(1))

    def commands(self, program):
        """The page's commands of `program`, as argument lists."""
        return [shlex.split(c)[1:] for c in re.findall(rf"`({re.escape(program)} [^`]+)`", self.steps)]

    def test_step_2_is_the_built_in_file(self):
        def data(text):
            return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        built_in = (ROOT / "families" / FAMILY / "family.toml").read_text()
        self.assertEqual(data(self.file.read_text()), data(built_in))

    def test_step_3_tries_it(self):
        command = next(c for c in self.commands("llm2mnn") if c[0] == "export")
        places = {"DIR": self.checkpoint(FIXTURE), f"{FAMILY}.toml": self.file}
        self.assertTrue(set(places) <= set(command), command)
        done = run(*(places.get(word, word) for word in command), "--quant_block", 0)  # the fixture's rows are short
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(FAMILY, done.stdout)

    def test_step_4_proves_it(self):
        """The fixture has every feature switched on, and its logits are the reference's with the page's file."""
        fixture = compare.make_fixture.Fixture(FIXTURE)
        declared = re.findall(r"^(\w+) *= \{ default = 1 \}", self.file.read_text(), re.M)
        self.assertEqual(len(declared), 4)
        for key in declared:
            self.assertNotIn(fixture.config[key], (0, 1), f"{key} is neutral in the fixture")
        package = self.tmp / "proved"
        export(self.checkpoint(FIXTURE), package, "--quant_bit", 16, "--family", self.file)
        golden = compare.load_golden(fixture, fixture.golden)
        got = self.runtime.logits(package, golden["ids"], compare.PREFILL)
        self.assertLess(compare.relative_rms(got, golden["logits_16"]), tolerances.LOGITS_16_BIT)

    def test_step_5_keeps_it_short(self):
        self.assertLess(len(self.file.read_text().splitlines()), int(re.search(r"the median has under (\d+)", self.steps).group(1)))

    def test_step_6_builds_it_in(self):
        """The tool was built with the same file in its place: it lists the family, and gives the same bytes."""
        self.assertIn(f"families/{FAMILY}/family.toml", self.steps)
        listed = json.loads(run("families", "--json").stdout)
        self.assertIn(FAMILY, [f["name"] for f in listed])
        for out, arguments in (("built-in", []), ("page", ["--family", self.file])):
            export(self.checkpoint(FIXTURE), self.tmp / out, "--quant_bit", 8, "--quant_block", 0, *arguments)
        self.assertEqual(contents(self.tmp / "page"), contents(self.tmp / "built-in"))


if __name__ == "__main__":
    unittest.main()
