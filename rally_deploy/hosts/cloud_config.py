"""The text that cloud-init of a server is to read, looked at before there is a server."""

from __future__ import annotations


def problem(userdata: str) -> str:
    """Why cloud-init would ignore this ``#cloud-config``; empty for a good one, or another text.

    It tells of a broken one in its log only, and ends as if nothing had been asked for.
    """
    import yaml

    text = userdata.lstrip()
    if text.partition("\n")[0].strip().lower() != "#cloud-config":
        return ""
    try:
        # Not constructed: there are tags that only cloud-init knows.
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        if mark is None:
            return f"it is not YAML: {error.problem}"
        line = "".join(text.splitlines()[mark.line:mark.line + 1]).strip()
        return f"it is not YAML in line {mark.line + 1}: {error.problem}: {line}".rstrip(": ")
    except yaml.YAMLError as error:
        return f"it is not YAML: {error}"
    if tree is not None and not isinstance(tree, yaml.MappingNode):
        return "a cloud-config is keys with values"
    return ""
