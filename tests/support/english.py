"""The style of everything a user reads, as a checker: spellings, terms and idioms, each with what to write instead.

``python tests/support/english.py [FILE ...]`` lists the findings. ``--shrink`` lowers the baseline
(``tests/english_baseline.toml``: files that are not converted yet, and how many findings they may have) to what is
found now; it never raises a number and never adds a file.

Pages are read without code, links and quotations; source files by their docstrings without examples and by their
messages, which are strings with a space.
"""

import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "tests" / "english_baseline.toml"
HELD = {"README.md", "CONTRIBUTING.md", "docs/architecture.md"}
"""Pages that must never be in the baseline."""
LONGEST_SENTENCE = 59


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern
    instead: str


def rules(table):
    return [Rule(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in table.items()]


SPELLINGS = {
    r"\bcolour": "color",
    r"\bcentre|\bcentring": "center",
    r"\bgrey": "gray",
    r"\bneighbour": "neighbor",
    r"\btumour": "tumor",
    r"\boedema": "edema",
    r"\blicence": "license",
    r"\bbehaviour": "behavior",
    r"\bfavour": "favor",
    r"\b(?:milli|centi|micro|kilo)?metres?\b": "meter",
    r"\bcatalogue": "catalog",
    r"\bartefact": "artifact",
    r"\b\w*(?:mod|lab|canc|trav)(?:elled|elling)\b": "one l: modeled, labeled",
    r"\banalys(?:e|ed|es|ing)\b(?!')": "analyze",
    r"\b(?:normal|recogn|initial|optim|summar|organ|visual|minim|maxim|standard|general|quant|util|special"
    r"|synthes|character|emphas|regular|token|serial|synchron|prior|categor|harmon|random|local|final)"
    r"(?:ise|ised|ises|ising|isation|isations)\b": "-ize",
    r"\bwhilst\b|\bamongst\b": "while, among",
}
TERMS = {
    r"\btrunks?\b": "backbone",
    r"\bpictures?\b": "2-D image, or figure",
    r"\bleast (?:side|size)\b": "minimum size",
    r"\bsingle raters?\b|\braters' single scores\b": "individual raters",
    r"\brefus(?:e|es|ed|al|ing)\b": "rejected, or invalid",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\b(?:is|are|be|were|was) cut (?:into|along|in)\b": "sliced, or split",
    r"\bgo(?:es)? on (?:from|where|with what)\b": "resume",
    r"\bstarts? (?:the \w+ \w+ |it |that \w+ |a run folder )?over\b": "discard",
    r"\bexcluding masks\b|\bmasks exclude\b": "pixels outside the mask are excluded",
    r"\bthe course (?:of|over)\b": "trend over epochs",
    r"\bparts of (?:a|the) score\b": "components of a score",
}
IDIOMS = {
    r"\ba (?:row|column|file|folder|line|module|page) an? \w+": "one row per score",
    r"\bone file a \w+|\bone row a \w+|\brows? an? (?:score|image|pair|rating)\b": "one row per score",
    r"\bkilled run\b": "repeat the command to resume an interrupted run",
    r"\bsays? what was seen\b": "shows both ranges",
    r"\b(?:stands?|stood|standing) (?:in|beside|there|side by side|against|above|below|between|apart|as)\b":
        "is in, is shown next to, is available",
    r"\bwhat it is is\b": "identified by",
    r"\bby the same door\b": "is registered the same way",
    r"\bone's own\b": "your own",
    r",\s+say\b(?! (?:that|what|why|which|whether|how|so|when))|\bsay `": "for example",
    r"(?<!there )\b(?:is|are) no\b(?! (?:longer|more|less|better|worse))": "is not a, cannot, does not",
    r"(?<!there )\b(?:is|are) (?-i:none)\b(?! of)": "does not, is not",
    r"\b(?:so|first so) many\b": "N, the first N",
    r"\b(?:set|held|sets|hold) against\b": "compared with",
    r"\btells? (?:an? |the )?(?:images?|pairs?|rows?) (?:apart|from)\b": "name the columns that identify an image",
    r"\bgive the same command again\b|\bthe same command again\b": "rerun the command",
    r"\bnothing of that\b|\bnothing of it\b": "none of this",
    r"\b(?:is|are|was|were) said\b": "reported",
    r"\bcomes? in by\b": "is registered",
    r"\blies? beside\b": "is next to",
    r"\bwhat is missing is said\b": "missing items are reported",
    r"≥ ?\S+ ≤": "a range like 3–191",
    r"\bif need be\b": "if necessary",
    r"\bthe very\b": "the same, exactly",
}  # fmt: skip
RULES = rules(SPELLINGS | TERMS | IDIOMS)


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    found: str
    instead: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.found!r}: write {self.instead}"


def check(text, file, line=1):
    """The findings in a text that begins at ``line`` of ``file``."""
    findings = []
    for rule in RULES:
        for match in rule.pattern.finditer(text):
            at = line + text.count("\n", 0, match.start())
            findings.append(Finding(file, at, " ".join(match[0].split()), rule.instead))
    return sorted(findings, key=lambda item: item.line)


def blank(match):
    """Nothing in place of a text, but for its line breaks."""
    return "\n" * match[0].count("\n")


def without_code(text):
    """Prose without code, links, addresses and quotations; every line stays at its place."""
    for pattern in (
        r"(?ms)^ *(```|~~~).*?^ *\1[^\n]*$",
        r"(?s)<!--.*?-->",
        r"``[^`]*``|`[^`]*`",
        r"(?m)^ *>.*$",
        r"(?<=\])\([^)]*\)|<?https?://[^\s>)]*>?",
    ):
        text = re.sub(pattern, blank, text)
    # A file by its name, and the name of the file of a license.
    return re.sub(r"[\w/.-]+\.(?:py|md|toml|csv|png|nii|txt)\b|\bLICENSE\b", "", text)


def sentences(text):
    """Sentences of a page without its tables: ``(line, number of words)``."""
    text = re.sub(r"(?m)^\s*\|.*$|^#.*$", "", without_code(text))
    # A list entry and a paragraph end a sentence, too.
    for match in re.finditer(r"(?s)(?:(?!\n\s*\n|\n\s*(?:[-*]|\d+\.) |[.!?:](?:\s|$)).)+", text):
        yield 1 + text.count("\n", 0, match.start()), len(match[0].split())


def check_page(path):
    name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    long = [
        Finding(name, line, f"a sentence of {count} words", "two or three sentences")
        for line, count in sentences(text)
        if count > LONGEST_SENTENCE
    ]
    return check(without_code(text), name) + long


def without_examples(text):
    """A docstring without its interactive examples and their output."""
    return re.sub(r"(?m)^ *>>>(?:.*\n?)(?:^ *\S.*\n?)*", blank, text)


def check_source(path):
    """Findings in docstrings and messages."""
    name, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for text, line in strings(tree):
        found += check(without_code(without_examples(text)), name, line)
    return found


def strings(tree):
    """Docstrings and strings with a space, each with its line; what a message fills in is left out."""
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [item.value if isinstance(item, ast.Constant) else "x" for item in node.values]
            inside |= {id(item) for item in ast.walk(node)}
            text = "".join(map(str, parts))
            if " " in text:
                yield text, node.lineno
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in inside else None
        if isinstance(text, str) and " " in text.strip():
            yield text, node.lineno


def pages():
    """Pages that people write; generated ones follow from the code."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for folder in ("docs", "examples", "iqa_registry", "plugins"):
        found += sorted((ROOT / folder).rglob("*.md"))
    return [path for path in found if path.is_file() and "Generated by" not in path.read_text("utf-8")[:200]]


def sources():
    return [path for folder in ("iqa_registry", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]


def check_all():
    """The findings by file."""
    found = {}
    for path, how in [
        *((item, check_page) for item in pages()),
        *((item, check_source) for item in sources()),
    ]:
        if items := how(path):
            found[items[0].file] = items
    return found


def baseline():
    return tomllib.loads(BASELINE.read_text(encoding="utf-8"))["allowed"] if BASELINE.is_file() else {}


HEAD = """# Files that are not converted to the style of the documents yet, and how many findings each may have.
# Lower the numbers with: python tests/support/english.py --shrink
# The tests fail when a file has more findings than this, and when it has fewer.

[allowed]
"""


def write_baseline(counts):
    lines = [f'"{name}" = {count}\n' for name, count in sorted(counts.items()) if count]
    BASELINE.write_text(HEAD + "".join(lines), encoding="utf-8")


def main(arguments):
    found = check_all()
    if arguments == ["--shrink"]:
        write_baseline({name: min(count, len(found.get(name, ()))) for name, count in baseline().items()})
        return
    for name, items in found.items():
        if not arguments or name in arguments:
            sys.stdout.writelines(f"{item}\n" for item in items)


if __name__ == "__main__":
    main(sys.argv[1:])
