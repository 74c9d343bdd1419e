"""Wrong edits of Python code that survive another layout.

Texts are compared word by word, without line breaks, indentation, comments and commas before a closing
bracket, and only the words that differ are replaced."""
import io
import re
import tokenize
from functools import cache

WORD = re.compile(r'\w+|[^\w\s]')

@cache
def without_comments(text: str) -> str:
    "The same text, with spaces in place of comments, so that positions stay."
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:column] + ' '*len(token.string) + line[column + len(token.string):]
    return ''.join(lines)

@cache
def words(text: str) -> list[re.Match]:
    "Words and single signs of a text, without a comma that closes a list."
    found = list(WORD.finditer(text))
    closes = [word[0] in ')]}' for word in found[1:]] + [False]
    return [word for word, last in zip(found, closes) if not (word[0] == ',' and last)]

def joined(found: list[re.Match]) -> str:
    "Words in a row, each between two zero bytes."
    return '\0' + '\0'.join(word[0] for word in found) + '\0'

@cache
def spelled_out(text: str) -> tuple[list[re.Match], str]:
    "The words of Python code, and these in a row."
    here = words(without_comments(text))
    return here, joined(here)

def places(text: str, old: str) -> list[list[re.Match]]:
    "Where the words of `old` stand in a row in Python code."
    (here, spelled), wanted = spelled_out(text), joined(words(old))
    found, start = [], -1
    while (start := spelled.find(wanted, start + 1)) >= 0:
        first = spelled.count('\0', 0, start)
        found.append(here[first:first + wanted.count('\0') - 1])
    return found

def same(a: list, b: list) -> int:
    "How many words two lists begin with alike."
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x[0] != y[0]), min(len(a), len(b)))

def replaced(text: str, old: str, new: str) -> str:
    "Python code with `new` in place of `old`, wherever that stands."
    for place in reversed(places(text, old)):
        mine = words(new)
        head = same(place, mine)
        tail = min(same(place[::-1], mine[::-1]), len(place) - head, len(mine) - head)
        gone, come = place[head:len(place) - tail], mine[head:len(mine) - tail]
        if gone:
            start, end = gone[0].start(), gone[-1].end()
        else:
            start = end = place[head - 1].end() if head else place[0].start()
        if gone and come:
            added = new[come[0].start():come[-1].end()]
        elif come:
            added = new[mine[head - 1].end():come[-1].end()] if head else new[:mine[len(come)].start()]
        else:
            added = ''
        if added and re.search(r'\w$', text[:start]) and re.match(r'\w', added):
            added = ' ' + added
        text = text[:start] + added + text[end:]
    return text
