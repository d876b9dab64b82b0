"""Texts, each with the Markdown that shows it as it was said: for the exporter, and for what the timeline copies."""

from __future__ import annotations

# What means something at the start of a line, and anywhere.
STARTS = ["", "# ", "## ", "> ", "- ", "1. ", "    ", "\t", "  ", "```", "~~~", "````py", "===", "---", "- - -"]
PIECES = [
    "a1",
    "b2 ",
    "c3",
    "[e5]",
    ": /f6",
    "![g7](h8)",
    "[i9](j1)",
    "<http://d4>",
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "<?",
]
PIECES += ["`", "``", "&lt;", "&#60;", "\\", "*", "_", "|", "# ", "<", " ", "---", "\\`", "\\<", "~~", "\u2028", "\r"]

SHOWN = [
    ("<script>alert(1)</script>", r"\<script>alert(1)\</script>"),
    ("a < b && c <- d", "a < b && c <- d"),
    ("<!-- a --> <?php", r"\<!-- a --> \<?php"),
    ("&lt; &#60; &", "&amp;lt; &amp;#60; &"),
    ("# Title", r"\# Title"),
    ("#hash", "#hash"),
    ("> - 1. # Title", r"> - 1. \# Title"),
    ("\u0661. # Title", "\u0661. # Title"),
    ("Title\n===", "Title\n\\==="),
    ("Title\n---", "Title\n\\---"),
    ("> Title\n> ---", "> Title\n> \\---"),
    ("Title\n\n---", "Title\n\n---"),
    ("[a]: /b", r"[a\]: /b"),
    ("![a](b)", r"\![a](b)"),
    ("```\nno end <b>", "````markdown\n```\nno end <b>\n````"),
    ("```\n# a\n```\n# b", "```\n# a\n```\n\\# b"),
    ("~~~ `x`\n<b>\n~~~~\n<b>", "~~~ `x`\n<b>\n~~~~\n\\<b>"),
    ("~~~\u2028\n<b>\n~~~", "~~~\u2028\n<b>\n~~~"),
    ("````\n```\n````", "````\n```\n````"),
    ("``` a`b\nc", "````markdown\n``` a`b\nc\n````"),
    ("- ```\n  <b>\n  ```", "````markdown\n- ```\n  <b>\n  ```\n````"),
    ("    <b>", "```markdown\n    <b>\n```"),
    ("    a = b", "    a = b"),
    ("use `<div>` and `` a`<b> `` <i>", r"use `<div>` and `` a`<b> `` \<i>"),
    ("one ` tick <i>", r"one \` tick \<i>"),
    (r"\<b> \\<b> \`", r"\<b> \\\<b> \`"),
    ("**Bold**, *soft*\n\n- one\n  - two", "**Bold**, *soft*\n\n- one\n  - two"),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ("", ""),
]

PLAIN = [
    ("# *a*  _b_ \n <i>\u2028c", r"\# \*a\* \_b\_ \<i\> c"),
    ("a\ufeffb", "a\ufeffb"),
    ("![a](b) `c` ~d~ | &lt; {e} \\", r"\!\[a\](b) \`c\` \~d\~ \| \&lt; \{e\} " + "\\\\"),
]

CODE = [("a b", "`a b`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), (" a\nb ", "`a b`")]
