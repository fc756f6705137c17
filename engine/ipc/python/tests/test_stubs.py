"""The type stubs say what there is, all of it has a docstring, and the package shows all of it."""

import ast
import inspect
import pathlib
import unittest

import forkyard
from forkyard import _native


def stubs():
    text = (pathlib.Path(forkyard.__file__).parent / "_native.pyi").read_text()
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def members(kind):
    """What a class adds to those it comes from, but for what Python itself calls."""
    return {name for name in vars(kind) if not name.startswith("__")}


class Stubs(unittest.TestCase):
    def test_they_have_the_classes_and_methods_that_there_are(self):
        self.assertEqual(set(stubs()), {name for name in vars(_native) if inspect.isclass(getattr(_native, name))})
        for name, node in stubs().items():
            told = {function.name for function in node.body if not function.name.startswith("__")}
            self.assertEqual(told, members(getattr(_native, name)), name)

    def test_the_methods_have_the_arguments_that_are_told(self):
        for name, node in stubs().items():
            for function in node.body:
                method = getattr(getattr(_native, name), function.name)
                if function.name.startswith("__") or not callable(method):
                    continue
                told = [argument.arg for argument in function.args.args]
                self.assertEqual(told, list(inspect.signature(method).parameters), f"{name}.{function.name}")

    def test_everything_has_a_docstring(self):
        for name in forkyard.__all__:
            shown = getattr(forkyard, name)
            self.assertTrue(shown.__doc__, name)
            if shown.__module__ == "forkyard":
                for member in members(shown):
                    self.assertTrue(getattr(shown, member).__doc__, f"{name}.{member}")

    def test_the_package_shows_what_it_has(self):
        shown = {name for name in vars(forkyard) if not name.startswith("_")}
        self.assertEqual(shown, set(forkyard.__all__))
        self.assertEqual(sorted(forkyard.__all__), forkyard.__all__)


if __name__ == "__main__":
    unittest.main()
