"""A whole config against the schemas of all its plugins: every mistake at once, each placed."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.config.blocks import plugin_name, secret_values
from rally_deploy.config.document import Document, Path, parse_path
from rally_deploy.config.messages import Mistake, mistakes, type_name
from rally_deploy.config.plain import no_json
from rally_deploy.config.schema import (
    Schema,
    Subschemas,
    is_type,
    nested_blocks,
    raw_path,
    tidy,
)
from rally_deploy.config.strings import (
    each_string,
    env_problems,
    has_env,
    resolve_env,
    substitute,
)
from rally_deploy.errors import ConfigError, Problem, RallyDeployError
from rally_deploy.masking import Mask

if TYPE_CHECKING:
    from rally_deploy.config.blocks import Registry

#: What stands for an address that is known only once a controller is there.
_ANY_ADDRESS = "192.0.2.1"


def validate(
    document: Document | Mapping[str, Any],
    registry: Registry,
    environ: Mapping[str, str],
    kind: str = "engine",
) -> list[Problem]:
    """Look at the whole tree, nested plugins' blocks too; touches nothing outside.

    Raises one ConfigError that holds every mistake, in the order of the file. Returns what is no
    mistake but should be known: keys that have no effect any more, say.
    """
    if not isinstance(document, Document):
        document = Document(document)
    problems, warnings = list(no_json(document)), []
    if not problems:
        check = _Check(document, registry, environ)
        check.block((), document.data, kind)
        problems, warnings = check.problems, check.warnings
    if problems:
        raise ConfigError(_in_order(problems), document.source)
    return _in_order(warnings)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each once, in the order of the file."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))


class _Check:
    """One run over one document."""

    def __init__(
        self, document: Document, registry: Registry, environ: Mapping[str, str]
    ) -> None:
        self._document, self._registry = document, registry
        self._unread: set[Path] = set()
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        for path, problem in env_problems(document, environ):
            self._unread.add(path)
            self.problems.append(problem)
        self._resolved = resolve_env(document.data, environ)
        self._from_env = {path for path, text in each_string(document.data) if has_env(text)}
        self._mask = Mask()
        self._mask.add(secret_values(self._resolved, registry))
        self._mask.add(
            text for path, text in each_string(self._resolved)
            if path in self._from_env and path not in self._unread
        )

    def block(
        self, path: Path, raw: Any, kind: str, asked: Subschemas | None = None,
        placeholders: Sequence[str] = (),
    ) -> None:
        """Look at the block at this path, which the schemas ``asked`` want to be there."""
        placeholders = [*placeholders, *((asked and asked.get("x-plugin-placeholders")) or ())]
        resolved = substitute(
            self._at(path, self._resolved), dict.fromkeys(placeholders, _ANY_ADDRESS)
        )
        if not isinstance(raw, Mapping):
            what = "the config" if not path else f"the {kind}"
            self._note(path, f"{what} must be an object, not {type_name(raw)}",
                       f'{{"type": "...", ...}}: the block of {_a(kind)}')
            return
        found = self._plugin(path, raw, kind)
        if found is None:
            return
        schema = found.CONFIG_SCHEMA  # type: ignore[attr-defined]
        try:
            self._against(path, resolved, schema, found, asked, placeholders)
        except RallyDeployError:
            raise
        except Exception as error:
            # Whatever a third-party schema or check does, the rest of the config is looked at.
            self._note((*path, _type_key(raw)), f"{found.__name__} is broken: its schema or "
                       f"check_config failed ({type(error).__name__})",
                       "this is a mistake of the plugin, not of the config", key=True)

    def _plugin(self, path: Path, raw: Mapping[str, Any], kind: str) -> type | None:
        for key in ("type", "name"):
            if key in raw and not isinstance(raw[key], str):
                self._note((*path, key), f"it must be a string, not {type_name(raw[key])}",
                           f"the name of {_a(kind)}")
                return None
        name = plugin_name(raw)
        if not name:
            self._note((*path, "type"), "'type' is missing", f"the name of {_a(kind)}")
            return None
        try:
            return self._registry.engine(name) if kind == "engine" \
                else self._registry.provider(name)
        except RallyDeployError as error:
            reason = f": {error.details}" if error.details else ""
            self._note((*path, _type_key(raw)), error.brief + reason, error.remedy)
            return None

    def _against(
        self, path: Path, block: Any, schema: Schema, plugin: type, asked: Subschemas | None,
        placeholders: Sequence[str],
    ) -> None:
        given = set(asked.get("x-plugin-given") or ()) if asked else set()
        extra = dict(asked.get("x-plugin-keys") or {}) if asked else {}
        renamed: dict[Path, Path] = {}
        for key in sorted(given - set(schema.get("properties", {}))):
            if schema.get("additionalProperties") is False:
                self._note((*path, _type_key(block)),
                           f"{plugin.__name__} cannot stand here: it takes no '{key}'",
                           asked.get("description") if asked else "", key=True)
        known = {**schema, "properties": {**schema.get("properties", {}), **extra},
                 "required": [k for k in schema.get("required", ()) if k not in given]}
        if not ({"type", "name"} & set(block)):
            known["required"] = [k for k in known["required"] if k != "type"]

        def conflict(where: Path, first: str, name: str) -> None:
            self._note((*path, *where), f"'{name}' and '{first}' are the same key",
                       "keep one of them", key=True)

        tidied = tidy(block, known, defaults=False, renamed=renamed, conflict=conflict)
        tidied = {key: value for key, value in tidied.items() if key not in given}
        errors = _validator(known).iter_errors(tidied)
        wrong = mistakes(
            errors, lambda where: (*path, *raw_path(where, renamed)) in self._from_env)
        self._add(path, wrong, renamed)
        nested = {
            (*path, *raw_path(where, renamed)): (where, schemas)
            for where, _, schemas in nested_blocks(tidied, known)
        }
        if all((*path, *raw_path(mistake.path, renamed)) in self._unread for mistake in wrong):
            self._try_own_check(path, plugin, block, renamed, asked, placeholders, nested)
        told = {mistake.path for mistake in wrong}
        for real, (where, schemas) in nested.items():
            raw = self._at(real, self._document.data)
            if where in told and not isinstance(raw, Mapping):
                continue
            self.block(real, raw, str(schemas.get("x-plugin")), schemas, placeholders)

    def _try_own_check(
        self, path: Path, plugin: type, block: Any, renamed: Mapping[Path, Path],
        asked: Subschemas | None, placeholders: Sequence[str], nested: Collection[Path],
    ) -> None:
        """The plugin's own check, also where a variable is not set: of such a value, and of what
        it is a part of, nothing is told.
        """
        unread = [where for where in self._unread if where[: len(path)] == path]
        unsure = {
            where[:end] for where in unread for end in range(len(path) + 1, len(where) + 1)
            if not any(where[:n] in nested for n in range(len(path) + 1, len(where)))
        }
        try:
            self._own_check(path, plugin, block, renamed, asked, placeholders, unsure)
        except Exception:
            # What is not set stays in the block as ${env:NAME}: no plugin need understand it.
            if not unread:
                raise

    def _own_check(
        self, path: Path, plugin: type, block: Any, renamed: Mapping[Path, Path],
        asked: Subschemas | None, placeholders: Sequence[str], unsure: Collection[Path],
    ) -> None:
        """The rules that a plugin's schema cannot say, and its warnings."""
        schema: Schema = plugin.CONFIG_SCHEMA  # type: ignore[attr-defined]
        whole = tidy(block, schema, defaults=True)
        for key, wanted in schema.get("properties", {}).items():
            if isinstance(wanted, Mapping) and wanted.get("x-handed") in placeholders:
                whole.setdefault(key, _ANY_ADDRESS)

        def said(method: str) -> Iterator[Mistake]:
            for where, message in getattr(plugin, method, lambda config: ())(whole):
                mistake = Mistake(parse_path(where), self._mask(str(message)))
                if (*path, *raw_path(mistake.path, renamed)) not in unsure:
                    yield mistake

        role = asked.get("x-plugin-role") if asked else None
        for method in ("check_config", *([f"check_as_{role}"] if role else [])):
            self._add(path, said(method), renamed)
        for warning in said("config_warnings"):
            real = (*path, *raw_path(warning.path, renamed))
            self.warnings.append(self._document.problem(real, warning.message))

    def _add(
        self, path: Path, wrong: Iterable[Mistake], renamed: Mapping[Path, Path]
    ) -> None:
        for mistake in wrong:
            real = (*path, *raw_path(mistake.path, renamed))
            if real in self._unread:
                continue
            self._note(real, mistake.message, mistake.hint, mistake.at_key)

    def _note(self, path: Path, message: str, hint: str = "", key: bool = False) -> None:
        self.problems.append(self._document.problem(path, message, hint, key))

    @staticmethod
    def _at(path: Path, tree: Any) -> Any:
        for step in path:
            tree = tree[step]
        return tree


def _validator(schema: Schema) -> Any:
    """Draft 2020-12, but with integers that are written as integers."""
    return _validator_class()(schema)


@functools.cache
def _validator_class() -> Any:
    import jsonschema

    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda checker, value: is_type(value, "integer")
    )
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)


def _type_key(raw: Mapping[str, Any]) -> str:
    return "name" if "type" not in raw and "name" in raw else "type"


def _a(kind: str) -> str:
    return "an engine" if kind == "engine" else f"a {kind}"
