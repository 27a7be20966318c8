#!/usr/bin/env python3
"""A family file read from disk is the built-in one: the same bytes for every family that has a fixture, also when the file is one of several
that inherit from each other."""
import pathlib
import sys
import tomllib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import ROOT, TempDirCase, export, family_arguments, make_fixture, run  # noqa: E402


def fixture_of_family():
    """{family: the first of its fixtures}."""
    family_of_type = {t: p.parent.name for p in (ROOT / "families").glob("*/family.toml")
                      for t in tomllib.loads(p.read_text())["model_types"]}
    out = {}
    for name in make_fixture.fixture_names():
        fixture = make_fixture.Fixture(name)
        family = family_of_type.get(fixture.text_config["model_type"])
        if "family" not in fixture.meta and family is not None:
            out.setdefault(family, name)
    return out


def contents(package):
    return {p.relative_to(package): p.read_bytes() for p in sorted(package.rglob("*")) if p.is_file()}


class FromDisk(TempDirCase):
    def test_every_family_gives_the_same_bytes_from_disk(self):
        cases = fixture_of_family()
        self.assertGreater(len(cases), 20)
        for family, name in cases.items():
            with self.subTest(family=family):
                built_in, from_disk = self.tmp / f"{family}-built-in", self.tmp / f"{family}-disk"
                options = ["--quant_bit", 8, "--quant_block", 0, *family_arguments(make_fixture.Fixture(name))]
                export(self.checkpoint(name), built_in, *options)
                export(self.checkpoint(name), from_disk, *options, "--family", ROOT / "families" / family / "family.toml")
                self.assertEqual(contents(from_disk), contents(built_in))

    def test_another_name_gives_the_same_model_with_type(self):
        name = "llama_gqa"
        renamed, out = self.tmp / "renamed", [self.tmp / "as-llama", self.tmp / "as-itself"]
        make_fixture.make(name, renamed, model_type="acme_lm", architectures=["AcmeForCausalLM"])
        export(renamed, out[0], "--quant_bit", 16, "--type", "llama")
        export(self.checkpoint(name), out[1], "--quant_bit", 16)
        for file in ("llm.mnn", "llm.mnn.weight", "embeddings_bf16.bin"):
            self.assertEqual((out[0] / file).read_bytes(), (out[1] / file).read_bytes(), file)
        self.assertIn("--type 'llama' reads it", run("export", "--path", renamed, "--dst_path", self.tmp / "none").stderr)

    def test_every_family_has_a_fixture(self):
        families = {p.parent.name for p in (ROOT / "families").glob("*/family.toml")}
        self.assertEqual(families - set(fixture_of_family()), set())


if __name__ == "__main__":
    unittest.main()
