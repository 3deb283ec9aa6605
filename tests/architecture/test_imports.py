"""Who may import what, where import-linter's contracts in setup.cfg cannot say it: one file each, names, markers."""

from __future__ import annotations

import pytest

from tests.architecture.source import PRODUCT, ROOT, imports_package, module, modules

SANDBOX = "polymarket/sandbox/"
VAGUE = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}


@pytest.mark.parametrize("library", ["py_clob_client_v2", "statsd", "web3"])
def test_exactly_one_file_imports(library: str) -> None:
    importers = [
        source.path
        for source in modules(*PRODUCT)
        if imports_package(source.tree, library) and not source.path.startswith(SANDBOX)
    ]
    assert len(importers) == 1, f"{library} is wrapped by one file; it was {importers}"


def test_the_sandbox_codes_abi_without_web3() -> None:
    sandbox = [source for source in modules("polymarket") if source.path.startswith(SANDBOX)]
    assert [source.path for source in sandbox if imports_package(source.tree, "web3")] == []


def test_nobody_but_service_imports_the_sandbox() -> None:
    outside = [source for source in modules(*PRODUCT) if not source.path.startswith((SANDBOX, "service/"))]
    assert [source.path for source in outside if imports_package(source.tree, "polymarket.sandbox")] == []


def test_no_product_file_imports_tests_or_benchmarks() -> None:
    assert [
        source.path
        for source in modules(*PRODUCT)
        if imports_package(source.tree, "tests") or imports_package(source.tree, "benchmarks")
    ] == []


def test_no_module_is_named_after_nothing() -> None:
    names = {source.path: source.path.rpartition("/")[2].removesuffix(".py") for source in modules(*PRODUCT)}
    folders = {source.path: set(source.path.split("/")[:-1]) for source in modules(*PRODUCT)}
    assert [path for path, name in names.items() if name in VAGUE or folders[path] & VAGUE] == []


@pytest.mark.parametrize("package", PRODUCT)
def test_package_carries_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


@pytest.mark.parametrize("folder", [*PRODUCT, "tests"])
def test_every_folder_of_modules_is_a_package(folder: str) -> None:
    parents = {str(ROOT / source.path).rpartition("/")[0] for source in modules(folder)}
    present = {str(ROOT / source.path).rpartition("/")[0] for source in modules(folder) if "__init__.py" in source.path}
    assert sorted(parents - present) == [], "setuptools finds only folders with an __init__.py"


def test_an_import_inside_a_function_is_found_and_a_longer_name_is_not_mistaken() -> None:
    assert imports_package(module("def f():\n    from web3.types import X").tree, "web3")
    assert imports_package(module("from polymarket import sandbox").tree, "polymarket.sandbox")
    assert not imports_package(module("import web3_extras").tree, "web3")
