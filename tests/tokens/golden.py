"""Texts with their published numbers of tokens: o200k_base, cl100k_base.

A selection from the golden vectors that gpt-tokenizer tests itself with (TestPlans.txt, MIT), and OpenAI's cookbook.
"""

GOLDEN = [
    ("", 0, 0),
    ("a a", 2, 2),
    ("hello", 1, 1),
    ("hello world", 2, 2),
    ("antidisestablishmentarianism", 6, 6),
    ("お誕生日おめでとう", 8, 9),
    ("Hello, World! How are you today? 🌍", 11, 12),
    ("こんにちは、世界！お元気ですか？", 10, 12),
    ("Hola, mundo! ¿Cómo estás hoy? 🇪🇸", 13, 16),
    ("Привет, мир! Как дела?", 8, 12),
    ("안녕하세요, 세상! 오늘 기분이 어때요? 🇰🇷", 18, 28),
    ("Bonjour, le monde ! Comment ça va aujourd'hui ? 🇫🇷", 15, 17),
    ("The quick brown fox jumps over 13 lazy dogs. 😺", 13, 13),
    ("હેલો, વિશ્વ! તમે આજે કેમ છો? 🇮🇳", 14, 49),
    ("ความรักและการเป็นกันเองเป็นสิ่งสำคัญที่สุดในโลก 🇹🇭", 20, 51),
    ("יש לי כמה שאלות בנוגע לפרויקט החדש שלך. 🇮🇱", 16, 42),
    ("A ∀ x (P(x) → Q(x)) ∧ (∃x P(x)) → ∃x Q(x)", 28, 25),
    ("E = mc², uma equação famosa na física. 🇵🇹", 16, 20),
    ("你今天遇到什么有趣的事情了吗？🇨🇳", 15, 25),
    ("გამარჯობა! როგორ ხართ დღეს? 🇬🇪", 13, 55),
    ("دیکھو، آسمان میں کتنی تارے ہیں! 🇵🇰", 18, 37),
    ("4gH@!0sT*#(9^%$[x{}j+|Yz6;Q]~8", 29, 29),
    ("ÄÜö¿¡¢£¤¥¦§¨©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾¿", 34, 35),
    ("ƒšŠŒŽƒšŠŒŽƒšŠŒŽƒšŠŒŽƒšŠŒŽƒšŠŒŽ", 30, 54),
    ("8mR5*w7^a$!F(0%#J9@X6vZ1)nU3]_Y/", 29, 30),
    ("😾😿🙀😽😼😻🙈🙉🙊👶👦👧👨👩👴👵👨\u200d⚕️👩\u200d⚕️", 44, 61),
    ("<|endoftext|>", 7, 7),
]

# OpenAI's cookbook, "How to count tokens with tiktoken": 129 in cl100k_base, 124 in o200k_base.
COOKBOOK_MESSAGES = [
    {
        "role": "system",
        "content": (
            "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."
        ),
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": (
            "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."
        ),
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": ("This late pivot means we don't have time to boil the ocean for the client deliverable."),
    },
]
