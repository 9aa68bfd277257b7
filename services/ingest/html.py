"""HTML to text as a mail reader would show it: blocks on lines, table rows on one line, nothing hidden."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from mailweir.services.ingest.notes import Notes

__all__ = ["html_to_text", "looks_like_html"]

_NEVER_SHOWN = "script,style,template,title,head,noframes,object,svg,datalist"
# Preheaders, mobile twins and word salad. Not `font-size:0`: layouts set it on a wrapper and undo it inside.
_HIDDEN = (
    '[hidden],[style*="display:none" i],[style*="display: none" i],[style*="visibility:hidden" i],'
    '[style*="visibility: hidden" i],[style*="mso-hide:all" i],[style*="max-height:0" i][style*="overflow:hidden" i]'
)
_LINE = 1
_PARAGRAPH = 2
_LINES = (
    "address article aside body caption center dd details div dl dt fieldset figcaption figure footer form header hgroup "
    "li main nav option section summary tbody tfoot thead tr"
)
_PARAGRAPHS = "blockquote h1 h2 h3 h4 h5 h6 hr menu ol p pre table ul"
_BREAKS = dict.fromkeys(_LINES.split(), _LINE) | dict.fromkeys(_PARAGRAPHS.split(), _PARAGRAPH)
_MAX_QUOTES = 16  # marks before a line; deeper quotes are quotes all the same
_CELLS = frozenset({"td", "th"})
_QUOTING = re.compile(r"cite|quote|yahoo_quoted", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
# Padding behind preheaders and invisible marks inside words.
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]+|[\u200c\u200d](?=[\\s\u200c\u200d\u034f]|$)")
_MARKUP_START = re.compile(
    r"\s{0,200}<(?:!doctype\s+html|html|head|body|meta|style|table|div|p|b|font|center|a|br|h[1-6]|span|ul|img)[\s>]",
    re.IGNORECASE,
)
_MARKUP_END = re.compile(r"</[a-z][a-z0-9]{0,9}>\s{0,200}$", re.IGNORECASE)


def looks_like_html(text: str) -> bool:
    """Whether text that is declared plain is a page of HTML."""
    return bool(_MARKUP_START.match(text)) and bool(_MARKUP_END.search(text[-400:]))


def html_to_text(html: str, notes: Notes, max_chars: int) -> str:
    """The text of a page, at least `max_chars` of it; what it hides only if it shows nothing else."""
    shown = _render(html, max_chars, hidden=False)
    if shown:
        return shown
    rest = _render(html, max_chars, hidden=True)
    if rest:
        notes.add("body_from_hidden_html")
    return rest


def _render(html: str, max_chars: int, *, hidden: bool) -> str:
    try:
        body = LexborHTMLParser(html).body
    except SelectolaxError as error:  # it refuses nothing but a lack of memory
        raise MemoryError from error
    if body is None:
        return ""
    for node in body.css(_NEVER_SHOWN if hidden else f"{_NEVER_SHOWN},{_HIDDEN}"):
        if node.mem_id != body.mem_id:
            node.remove()
    page = _Page()
    _walk(body, page, max_chars)
    return page.text()


def _walk(root: LexborNode, page: _Page, max_chars: int) -> None:
    """Enter and leave every node in document order until there is enough text; no recursion: hostile pages are deep."""
    node: LexborNode | None = root
    while node is not None and page.size <= max_chars:
        _enter(node, page)
        child = node.child
        if child is not None:
            node = child
            continue
        while node is not None:
            _leave(node, page)
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            node = node.parent


def _enter(node: LexborNode, page: _Page) -> None:
    if node.is_text_node:
        page.write(node.text_content or "")
        return
    tag = node.tag or ""
    if tag == "br":
        page.line_break()
    elif tag == "img":
        _image(node, page)
    elif tag in _CELLS:
        page.open_cell()
    elif tag in _BREAKS:
        page.block(_BREAKS[tag])
        _open(tag, node, page)


def _open(tag: str, node: LexborNode, page: _Page) -> None:
    if tag == "li":
        page.write("- ")
    elif tag == "pre":
        page.verbatim += 1
    elif tag == "blockquote" and _is_quote(node):
        page.open_quote()


def _leave(node: LexborNode, page: _Page) -> None:
    tag = node.tag or ""
    if tag in _CELLS:
        page.close_cell()
    elif tag in _BREAKS:
        if tag == "pre":
            page.verbatim -= 1
        if tag == "blockquote" and _is_quote(node):
            page.close_quote()
        page.block(_BREAKS[tag])


def _is_quote(node: LexborNode) -> bool:
    attributes = node.attributes
    return bool(_QUOTING.search(f"{attributes.get('type') or ''} {attributes.get('class') or ''}"))


def _image(node: LexborNode, page: _Page) -> None:
    alt = _SPACE.sub(" ", node.attributes.get("alt") or "").strip()
    if len(alt) > 1:
        page.write(f"[image: {alt}] ")


class _Page:
    """Lines of text as they grow. A break waits until text follows, so that a cell of one paragraph stays in its row."""

    def __init__(self) -> None:
        self.verbatim = 0  # open <pre> elements
        self.size = 0  # characters written so far
        self._quotes = 0
        self._lines: list[str] = []
        self._line: list[str] = []
        self._break = 0  # what to do before the next text: nothing, new line, new paragraph
        self._cells: list[bool | None] = []  # open cells: None while empty, then whether they have more than one line
        self._tab = False

    def write(self, text: str) -> None:
        """Add text of the document."""
        text = _INVISIBLE.sub("", text)
        self.size += len(text)
        if self.verbatim:
            self._write_lines(text)
        elif text.strip(" \t\n\r\f\xa0"):
            self._before_text()
            self._line.append(_SPACE.sub(" ", text))
        elif text and self._line and not self._break:
            self._line.append(" ")

    def block(self, kind: int) -> None:
        """A block begins or ends: text that follows stands on a line of its own."""
        if self._line and not self._at_cell_start():
            self._break = max(self._break, kind)

    def line_break(self) -> None:
        """A forced break, empty lines included."""
        if self._break:
            self._end_line()
        self._break = 0
        self._cells = [cell is not None for cell in self._cells]
        self._end_line()

    def open_cell(self) -> None:
        """A table cell begins: on the line of the one before it."""
        self._tab = bool(self._line) and not self._break
        self._cells.append(None)

    def close_cell(self) -> None:
        """A table cell ends: the next one stays on its line unless this one has several."""
        several = self._cells.pop() if self._cells else False
        self._break = _LINE if several and self._line else 0

    def open_quote(self) -> None:
        """What follows is quoted: its lines begin with `> `."""
        self._end_block()
        self._quotes += 1

    def close_quote(self) -> None:
        """The quote ends."""
        self._end_block()
        self._quotes = max(0, self._quotes - 1)

    def text(self) -> str:
        """All lines."""
        self._end_block()
        return "\n".join(self._lines).strip("\n")

    def _at_cell_start(self) -> bool:
        return bool(self._cells) and self._cells[-1] is None

    def _before_text(self) -> None:
        if self._break:
            paragraph = self._break == _PARAGRAPH
            self._end_line()
            if paragraph:
                self._end_line()
            self._cells = [cell if cell is None else True for cell in self._cells]
        elif self._tab:
            self._line.append("\t")
        self._break = 0
        self._tab = False
        self._cells = [False if cell is None else cell for cell in self._cells]

    def _write_lines(self, text: str) -> None:
        first, *rest = text.split("\n")
        if first or rest:
            self._before_text()
        self._line.append(first)
        for line in rest:
            self._end_line()
            self._line.append(line)

    def _end_block(self) -> None:
        if self._line:
            self._end_line()
        self._break = 0

    def _end_line(self) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self.verbatim else _tidy(line)
        if line or not self._quotes:
            self._lines.append("> " * min(self._quotes, _MAX_QUOTES) + line)
        self._line.clear()


def _tidy(line: str) -> str:
    cells = [_SPACE.sub(" ", cell).strip() for cell in line.split("\t")]
    return "\t".join(cell for cell in cells if cell)
