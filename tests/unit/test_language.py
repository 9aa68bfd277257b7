"""Language of a mail: five by name, the rest as other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailweir.models.text.language import LANGUAGES, OTHER, detect

TEXTS = {
    "en": "Could you send us two more sacks of rye before Friday? The last delivery is nearly gone.",
    "tr": "Cuma gününden önce iki çuval daha gönderebilir misiniz? Son teslimat neredeyse bitti.",
    "de": "Könnten Sie uns vor Freitag noch zwei Säcke Roggen schicken? Die letzte Lieferung ist fast weg.",
    "fr": "Pourriez-vous nous envoyer encore deux sacs de seigle avant vendredi ? Il ne nous en reste presque plus.",
    "es": "¿Podrían enviarnos dos sacos más de centeno antes del viernes? Ya casi no queda nada del último envío.",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_is_told(code: str) -> None:
    """A sentence or two is enough to be sure."""
    language = detect(TEXTS[code])
    assert language.code == code
    assert language.probability > 0.9


@pytest.mark.parametrize(
    "text",
    [
        "Могли бы вы прислать нам ещё два мешка ржи до пятницы?",
        "金曜日までにライ麦をあと二袋送っていただけますか。",
        "هل يمكنكم إرسال كيسين آخرين من الجاودار قبل يوم الجمعة؟",
        "Voisitteko lähettää meille vielä kaksi säkkiä ruista ennen perjantaita? Edellinen erä on melkein lopussa.",
    ],
)
def test_other_languages_are_other(text: str) -> None:
    """A language that we do not name is no reason to guess."""
    assert detect(text).code == OTHER


@pytest.mark.parametrize("text", ["", "   \n", "12345 / 67-89", "!!! ???"])
def test_text_without_letters_is_unknown(text: str) -> None:
    """No letters, no language."""
    language = detect(text)
    assert (language.code, language.probability) == (OTHER, 0.0)


def test_short_text_is_less_sure_than_long_text() -> None:
    """One word is a guess and says so."""
    assert detect("menu").probability < 0.9 < detect(TEXTS["fr"]).probability


def test_only_the_beginning_counts() -> None:
    """The detector's cost is bounded: text far below does not change its answer."""
    beginning = TEXTS["tr"] * 4
    assert detect(beginning + TEXTS["en"] * 50) == detect(beginning)


def test_threads_share_the_model() -> None:
    """Many threads at once get the answers that one gets."""
    texts = [TEXTS[code] for code in LANGUAGES] * 20
    alone = [detect(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(detect, texts)) == alone
