"""Text cut into tokens as nzip cuts it: each the longest of the vocabulary that stands there (src/experts/token/trie.rs)."""
import numpy as np
from numba import njit


class Cutter:
    def __init__(self, tokenizer):
        """`tokenizer`: a byte-level tokenizer.json, whose special tokens stand for no text."""
        special = {token["id"] for token in tokenizer["added_tokens"]}
        of_char = {char: byte for byte, char in enumerate(byte_chars())}
        self.children, self.tokens = [[0] * 256], [0]
        for token, id in tokenizer["model"]["vocab"].items():
            if id not in special:
                self.add([of_char[char] for char in token], id)
        self.children, self.tokens = np.array(self.children, np.int32), np.array(self.tokens, np.uint16)
        assert self.tokens[self.children[0]].all(), "not every byte is a token"

    def add(self, token, id):
        node = 0
        for byte in token:
            if not self.children[node][byte]:
                self.children[node][byte] = len(self.children)
                self.children.append([0] * 256)
                self.tokens.append(0)
            node = self.children[node][byte]
        self.tokens[node] = id

    def cut(self, text):
        """The ids of the tokens of some bytes."""
        return longest(np.frombuffer(text, np.uint8), self.children, self.tokens)


def byte_chars():
    """GPT-2's way of writing each byte: printable characters of Latin-1 as themselves, the others from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


@njit
def longest(text, children, tokens):
    ids, count, at = np.empty(len(text), np.uint16), 0, 0
    while at < len(text):
        node, end, next = 0, at, at
        while next < len(text):
            node = children[node, text[next]]
            if node == 0:
                break
            next += 1
            if tokens[node] != 0:
                ids[count], end = tokens[node], next
        count, at = count + 1, end
    return ids[:count].copy()
