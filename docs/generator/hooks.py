"""What MkDocs calls when it builds the site: generated parts, and pages and files from outside of `docs/`.

Links are written as they work in the repository. The site has what they lead to: pages under names of its
own, other files below `repository/`."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.generator import expand  # noqa: E402

PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "bench/results/results.md": "project/figures.md",
}
"""Pages of the site that stand elsewhere in the repository."""
FOLDERS = {"contracts/schemas": "reference/contract.md", "contracts/examples": "reference/contract.md"}
"""The pages that show what is in a folder."""
_PLACES = PAGES | FOLDERS
_ORIGINS = {uri: origin for origin, uri in PAGES.items()}
_FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\(|\b(?:src|srcset|href)=\")([^)\s\"#:]+)(?=[)\s\"#])")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that stand outside of `docs/`, and the files that pages lead to."""
    for origin, uri in PAGES.items():
        if (ROOT / origin).exists():
            files.append(File.generated(config, uri, content=(ROOT / origin).read_text("utf-8")))
    for file in files.documentation_pages():
        for target in _outside(_origin(file.src_uri), file.content_string):
            uri = f"repository/{target}"
            if uri not in files.src_uris and (ROOT / target).is_file():
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page as the site shows it."""
    uri = page.file.src_uri
    return _relinked(_origin(uri), uri, expand(markdown))


def _origin(page: str) -> str:
    """Where in the repository a page stands."""
    return _ORIGINS.get(page, f"docs/{page}")


def _outside(origin: str, markdown: str) -> list[str]:
    """The files outside of `docs/` that a page leads to, by their paths in the repository."""
    targets = {_target(origin, link[2]) for link in _LINK.finditer(_FENCE.sub("", expand(markdown)))}
    return sorted(one for one in targets if one not in _PLACES and not one.startswith(("docs/", "..")))


def _target(origin: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def _relinked(origin: str, uri: str, markdown: str) -> str:
    """The page with links from where it stands on the site."""

    def relink(link: re.Match[str]) -> str:
        target = _target(origin, link[2])
        if target.startswith("docs/"):
            place = target.removeprefix("docs/")
        else:
            place = _PLACES.get(target, f"repository/{target}")
        return link[1] + posixpath.relpath(place, posixpath.dirname(uri) or ".")

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(relink, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(relink, markdown[end:])])
