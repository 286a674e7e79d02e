"""What users know their browsers by: coarse words, and nothing else of what a browser says."""

import pytest

from dovetail.merchant.dashboard.browsers import words_of

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
            "Firefox, Linux",
        ),
        (f"Mozilla/5.0 (Windows NT 10.0) {KIT} Chrome/142.0 Safari/537.36", "Chrome, Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {KIT} Chrome/142 Safari/537 Edg/142", "Edge, Windows"),
        (f"Mozilla/5.0 (X11; CrOS x86_64) {KIT} Chrome/142 Safari/537", "Chrome, ChromeOS"),
        (
            f"Mozilla/5.0 (Macintosh; Intel Mac OS X 15) {KIT} Version/26 Safari/605",
            "Safari, macOS",
        ),
        (f"Mozilla/5.0 (iPhone; like Mac OS X) {KIT} Version/26 Safari/604", "Safari, iOS"),
        (f"Mozilla/5.0 (iPad; like Mac OS X) {KIT} CriOS/142 Safari/604", "Chrome, iOS"),
        (f"Mozilla/5.0 (Linux; Android 16) {KIT} Chrome/142 Safari/537", "Chrome, Android"),
        (f"Mozilla/5.0 (X11; Linux) {KIT} Chrome/142 Safari/537 OPR/126", "Opera, Linux"),
        ("curl/8.5", ""),
        ("", ""),
        ("<b>Linux</b>", "Linux"),
        ("x" * 600 + "Firefox/145.0", ""),
    ],
)
def test_a_browser_is_told_in_coarse_words(agent: str, words: str) -> None:
    assert words_of(agent) == words
