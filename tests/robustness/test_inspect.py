#!/usr/bin/env python3
"""`inspect` of broken checkpoints and packages."""
import json
import os
import unittest

from edits import MODEL, WeightsCase
from sandbox import BAD_FLAG, BROKEN_INPUT, OK, SYSTEM, UNSUPPORTED, config_of, line_faults

MANIFEST = "llm2mnn.json"


class CheckpointTest(WeightsCase):
    def test_what_is_no_checkpoint(self):
        for path, code in (("absent", SYSTEM), (".", SYSTEM), ("/dev/null", SYSTEM), ("/proc/self/mem", SYSTEM), ("/", SYSTEM)):
            with self.subTest(path):
                self.refused(code, [], "inspect", path)

    def test_broken_weights(self):
        ckpt = self.checkpoint()
        os.truncate(ckpt / MODEL, 1000)
        self.refused(BROKEN_INPUT, MODEL, "inspect", ckpt)

    def test_a_fifo_of_weights(self):
        ckpt = self.checkpoint()
        os.unlink(ckpt / MODEL)
        os.mkfifo(ckpt / MODEL)
        self.refused(SYSTEM, MODEL, "inspect", ckpt)

    def test_a_model_that_no_family_describes_is_shown(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["model_type"] = "my\x1b[31m_model"
        done = self.tool("inspect", ckpt, "--verbose")
        self.assertEqual((done.code, done.stderr), (OK, b""))
        self.assertIn(b"not exportable", done.stdout)
        self.assertNotIn(b"\x1b", done.stdout)
        self.assertIn("my", json.loads(self.tool("inspect", ckpt, "--json").stdout)["model_type"])

    def test_a_type_that_no_family_claims_is_a_bad_flag(self):
        self.refused(BAD_FLAG, ["--type", "lama"], "inspect", self.checkpoint(), "--type", "lama")

    def test_names_made_to_deceive_a_terminal(self):
        ckpt = self.edit(lambda h: h.update({"\x1b[2Jevil\u202e\n": h.pop("model.norm.weight")}))
        done = self.tool("inspect", ckpt, "--verbose")
        self.assertEqual((done.code, done.stderr), (OK, b""))
        self.assertNotIn(b"\x1b", done.stdout)
        self.assertNotIn("\u202e".encode(), done.stdout)


class PackageTest(WeightsCase):
    def package(self):
        out = self.box / "out"
        self.exports(self.checkpoint(), out)
        return out

    def inspected(self, package):
        """The finished runs, with and without --json; neither may crash, and an error is one line."""
        done = [self.tool("inspect", package), self.tool("inspect", package, "--json")]
        self.assertEqual(done[0].code, done[1].code)
        for d in done:
            self.assertIn(d.code, (OK, BROKEN_INPUT, UNSUPPORTED, SYSTEM), d.text)
            self.assertEqual(line_faults(d.text) if d.code else d.text, [] if d.code else "")
            self.assertNotIn(b"\x1b", d.stdout)
        return done[0]

    def test_a_good_package(self):
        self.assertEqual(self.inspected(self.package()).code, OK)

    def test_manifests_that_are_no_manifests(self):
        package = self.package()
        for text in ("", "{", "[]", "3", "null", "[" * 10**5, "\0", '{"files": 3}', '{"files": [3]}', '{"files": [{"name": 3}]}',
                     '{"files": [{"name": "llm.mnn"}]}', '{"files": [{"name": "llm.mnn", "bytes": "x"}]}', '{"files": [{"name": "llm.mnn", "bytes": -1}]}',
                     '{"files": [{"name": "llm.mnn", "bytes": 1e400}]}', '{"tool": 3, "files": []}', '{"files": [{"name": "llm.mnn", "name": "x"}]}'):
            with self.subTest(text[:60]):
                (package / MANIFEST).write_text(text)
                done = self.inspected(package)
                self.assertEqual(done.code, BROKEN_INPUT, done.text)

    def test_a_manifest_that_names_files_elsewhere(self):
        package = self.package()
        for name in ("../cwd", "/etc/passwd", "", ".", "..", "a/b", "\x1b[31m", "n" * 5000):
            with self.subTest(name[:10]):
                manifest = json.loads((package / MANIFEST).read_text())
                kept = json.dumps(manifest)
                manifest["files"].append({"name": name, "bytes": 3, "xxh128": "0" * 32})
                (package / MANIFEST).write_text(json.dumps(manifest))
                self.assertEqual(self.inspected(package).code, BROKEN_INPUT)
                (package / MANIFEST).write_text(kept)

    def test_fields_of_the_wrong_kind(self):
        package = self.package()
        kept = (package / MANIFEST).read_text()
        for key in json.loads(kept):
            for value in (None, 3, "x", [], {}, [[]], True):
                with self.subTest(key=key, value=value):
                    manifest = json.loads(kept)
                    manifest[key] = value
                    (package / MANIFEST).write_text(json.dumps(manifest))
                    self.inspected(package)

    def test_numbers_beyond_a_double(self):
        package = self.package()
        (package / "config.json").write_text('{"a": [1e400, -1e400, 123456789012345678901234567890, {"b": 1e-400}]}')
        self.assertEqual(self.inspected(package).code, BROKEN_INPUT)  # its size is not that of the manifest
        shown = json.loads(self.tool("inspect", package, "--json").stdout)["config"]["a"]
        self.assertEqual(shown[:2], ["1e400", "-1e400"])
        manifest = (package / MANIFEST).read_text()
        (package / MANIFEST).write_text(manifest.replace('"bits_per_weight": ', '"bits_per_weight": 9e999, "kept": '))
        self.assertIn("'bits_per_weight'", self.inspected(package).text)

    def test_files_that_are_missing_or_cut(self):
        package = self.package()
        for name in [e["name"] for e in json.loads((package / MANIFEST).read_text())["files"]]:
            data = (package / name).read_bytes()
            for spoil in (os.unlink, lambda p: os.truncate(p, 1), lambda p: (os.unlink(p), os.mkfifo(p)), lambda p: (os.unlink(p), p.symlink_to(p.name))):
                with self.subTest(name):
                    spoil(package / name)
                    done = self.inspected(package)
                    self.assertIn(done.code, (BROKEN_INPUT, SYSTEM), done.text)
                    self.assertIn(name, done.text)
                    os.path.lexists(package / name) and os.unlink(package / name)
                    (package / name).write_bytes(data)

    def test_a_package_of_another_tool(self):
        package = self.package()
        os.unlink(package / MANIFEST)
        done = self.inspected(package)
        self.assertEqual(done.code, OK, done.text)
        self.assertIn(b"another tool", done.stdout)


if __name__ == "__main__":
    unittest.main()
