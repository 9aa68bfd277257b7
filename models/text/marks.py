"""Lines by which mail programs and people mark quotes, forwards, signatures and notices, in five languages.

Every pattern is matched against one line or paragraph of bounded length, and its gaps are bounded.
"""

from __future__ import annotations

import re

__all__ = [
    "ATTRIBUTION",
    "ATTRIBUTION_START",
    "CLOSING",
    "CONTACT",
    "DISCLAIMER",
    "END_OF_FORWARD",
    "FORWARD",
    "HEADER_LABELS",
    "LIST_FOOTER",
    "NOTICE_WORDS",
    "ORIGINAL",
    "POSTSCRIPT",
    "QUOTE",
    "SHORT_ATTRIBUTION",
    "SIGNATURE",
]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


QUOTE = re.compile(r"[ \t]{0,3}(?:>(?!From )|\|[ >])")
"""A quoted line; `>From ` is an mbox's way to write `From `."""

ATTRIBUTION = _any(
    r"^On .{5,350}\bwrote\s?:?$",
    r"^.{0,300}\b(?:tarihinde|tarihli|günü).{0,300}\byazdı\s?:?$",
    r"^.{1,200}(?:@|\d{4}).{0,200}şun(?:u|ları) yazdı.{0,60}:$",
    r"^.{1,200}şun(?:u|ları) yazdı.{0,60}\d{4}.{0,60}:$",
    r"^(?:Am|On) .{5,300}\bschrieb.{0,200}:$",
    r"^Le .{5,350}\ba écrit\s?:$",
    r"^El .{5,350}\bescribió\s?:$",
    r"^.{0,200}\d.{0,200}[<(\[][^\s<>]{1,80}@.{1,80}(?:wrote|writes|schrieb|a écrit|escribió|yazdı)\s?:$",
)
"""Who wrote when what is quoted next, marked or not."""

SHORT_ATTRIBUTION = _any(
    r"^.{1,200}\b(?:wrote|writes|said|schrieb|a écrit|escribió|yazdı|dedi ki)\s?:$",
    r"^(?:Quoting|Zitat von) .{3,200}:$",
    r"^.{1,120}<[^<>\s]{1,100}@[^<>\s]{1,100}>.{0,60}:$",
)
"""A line that announces a quote only if quoted lines follow: people write such sentences too."""

ATTRIBUTION_START = re.compile(r"^(?:On|Am|Le|El)\s|^.{0,80}(?:\d|@)")
"""What the first line of a wrapped attribution has: a date or an address."""

ORIGINAL = re.compile(
    r"^\s{0,4}[-_=*]{2,40}\s{0,4}(?:original message|original appointment|reply message|ursprüngliche nachricht|"
    r"original-?nachricht|message d['’]origine|message original|mensaje original|orijinal (?:mesaj|ileti|e-?posta)|"
    r"özgün (?:ileti|mesaj)|asıl (?:ileti|mesaj))\s{0,4}[-_=*]{0,40}$",
    re.IGNORECASE,
)
"""From here to the end is the mail that is answered."""

_FORWARD_WORDS = (
    r"forwarded (?:message|mail|by)|weitergeleitete (?:nachricht|e-?mail)|message (?:transféré|réexpédié)|"
    r"mensaje reenviado|(?:iletilen|iletilmiş|yönlendirilen|yönlendirilmiş) (?:ileti|mesaj|e-?posta)"
)
FORWARD = _any(
    rf"^\s{{0,4}}[-_=*]{{2,60}}\s{{0,4}}(?:{_FORWARD_WORDS})",
    r"^\s{0,4}(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-?mail)|"
    r"début du message (?:transféré|réexpédié)|inicio del mensaje reenviado|"
    r"(?:iletilen|yönlendirilen) (?:mesajın|iletinin|e-?postanın) başlangıcı|iletilen (?:ileti|mesaj))\s?:$",
)
"""From here on a mail of somebody else is passed on."""

END_OF_FORWARD = re.compile(r"^\s{0,4}[-_=*]{2,60}\s{0,4}end (?:of )?forwarded", re.IGNORECASE)
"""The forwarded mail ends."""

HEADER_LABELS = {
    "from": _any(r"^\s{0,4}\*?(?:from|gönderen|kimden|von|de|expéditeur|remitente)\s?:"),
    "date": _any(
        r"^\s{0,4}\*?(?:date|sent|tarih|gönderme(?: tarihi)?|gönderildi|gönderilme tarihi|gesendet|datum|envoyé(?: le)?|"
        r"enviado(?: el)?|fecha)\s?:"
    ),
    "to": _any(r"^\s{0,4}\*?(?:to|kime|alıcı|an|à|para|a|pour|destinataire|destinatario)\s?:"),
    "subject": _any(r"^\s{0,4}\*?(?:subject|konu|betreff|objet|asunto)\s?:"),
}
"""Labels of a header block that Outlook and others put before the mail that is answered or passed on."""

SIGNATURE = _any(
    r"^\s{0,4}--\s{0,3}$",
    r"^(?:sent|get|gesendet|envoyé|enviado|von) (?:from|with|outlook|using|mit|von|meinem|depuis|de|desde|à partir) .{2,60}$",
    r"^(?:von meinem|de mon|desde mi) .{2,40} (?:gesendet|envoyé|enviado)\.?$",
    r"^(?:.{2,40}['’]?(?:dan|den|tan|ten|mdan|umdan|imden|ımdan) gönderildi)\.?$",
    r"^(?:outlook for|outlook para|outlook pour) (?:ios|android).{0,40}$",
    r"^(?:ios|android) için outlook.{0,40}$",
)
"""The line with which a signature begins, or all of it."""

_GREETING_END = (
    # English, Turkish, German, French, Spanish
    r"(?:(?:with )?(?:my )?(?:kind(?:est)?|best|warm(?:est)?|many|with) )?regards|best(?: wishes)?|all the best|"
    r"(?:yours )?(?:sincerely|truly|faithfully)|yours|respectfully(?: yours)?|cordially|cheers|take care|"
    r"(?:en iyi dileklerimle|saygı(?:lar(?:ımla|ımızla|la)?|yla)|sevgi(?:ler(?:imle|imizle)?|yle)|selam(?:lar)?|"
    r"iyi (?:çalışmalar|günler|akşamlar|haftalar)(?: dilerim| dileriz)?|kolay gelsin|hürmetler(?:imle)?|görüşmek üzere|"
    r"hoşça ?kal(?:ın)?)|"
    r"(?:mit )?(?:freundlichen?|besten?|lieben?|vielen?|schönen?|herzlichen?|frostigen) gr(?:ü|ue)(?:ß|ss)en?(?: aus \w{2,30})?|"
    r"gr(?:ü|ue)(?:ß|ss)e|gru(?:ß|ss)|mfg|lg|vg|hochachtungsvoll|"
    r"(?:bien )?(?:cordialement|amicalement)|bien à (?:vous|toi)|(?:sincères |meilleures )?salutations(?: distinguées)?|"
    r"à bientôt|bises|"
    r"(?:un |muchos |atentos )?saludos?(?: cordial(?:es)?)?|atentamente|cordialmente|un (?:fuerte )?abrazo"
)
_THANKS = (
    r"(?:many )?thanks(?: (?:again|a lot|in advance|and (?:kind |best )?regards))?|thank you(?: (?:very much|in advance))?|thx|"
    r"(?:şimdiden )?(?:çok )?teşekkür(?:ler| eder(?:im|iz))|danke(?: (?:schön|vorab))?|vielen dank|merci(?: (?:beaucoup|d['’]avance))?|"
    r"(?:muchas )?gracias"
)
CLOSING = re.compile(
    rf"^\s{{0,4}}[—–]\s{{0,3}}$|^\s{{0,8}}(?:(?:{_GREETING_END}|{_THANKS})\s{{0,2}}[,.!;-]{{0,3}}|(?:{_GREETING_END}|{_THANKS})\s?,\s?[^\W\d_][\w.'’ -]{{0,40}}|"
    rf"(?:{_GREETING_END})\s(?-i:[A-ZÇĞİÖŞÜÄÉ])[\w.'’ -]{{0,40}})\s{{0,8}}$",
    re.IGNORECASE,
)
"""A closing formula, with or without the name on its line, or a long dash: a signature if short lines follow."""

CONTACT = _any(
    r"^\s{0,8}(?:t|m|f|e|w|tel|telefon|phone|ph|mobile|mob|mobil|cell|cep|gsm|fax|faks|dahili|direct|office|ofis|web|e-?mail|"
    r"e-?posta|adres|address|adresse|dirección|móvil|portable|tél)\s?(?:no)?\s?[.:|]\s?\S",
    r"\+\d[\d ().\-/]{7,20}",
    r"\b0\d{2,4}[ )/-]{0,2}\d{3}[ -]?\d{2}",
    r"^\s{0,8}(?:https?://|www\.)\S{4,100}\s{0,8}$",
    r"^\s{0,8}<?[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,30}){1,4}>?\s{0,8}$",
)
"""A line of a visiting card."""

POSTSCRIPT = re.compile(r"^\s{0,4}(?:p\.?\s?s\b|(?:not|nb|n\.b\.?)\s?:)", re.IGNORECASE)
"""What a writer adds below the signature is new text again."""

LIST_FOOTER = re.compile(
    r"mailing list|mailman|listinfo|unsubscribe|list-?archive|yahoo! groups|sourceforge", re.IGNORECASE
)
"""Words of the footer that a list adds below a long rule."""

NOTICE_WORDS = (
    "confiden", "privileged", "recipient", "addressee", "intended", "in error", "environment", "gizli",
    "özel", "sır", "değilseniz", "sehven", "yanlışlıkla", "hata", "yazdır", "vertraulich", "adressat", "empfänger",
    "irrtümlich", "destinata",
)  # fmt: skip
"""One of them is in every notice, in lower case: most paragraphs are done with after a look for these (0.4 ms a mail)."""

DISCLAIMER = _any(
    r"not (?:the|an) intended (?:recipient|addressee)",
    r"intended (?:solely|only|exclusively) for the (?:use|person|individual|addressee|named|attention)",
    r"(?:e-?mail|message|communication|transmission)\b.{0,120}\b(?:is|are|may be|contains?|may contain)\b.{0,60}\b(?:confidential|privileged)",
    r"received this .{0,60}\bin error\b",
    r"consider the environment before printing",
    r"(?:e-?posta|mesaj|ileti)\w{0,10}\b.{0,160}\b(?:gizli|kişiye özel|ticari sır)",
    r"(?:alıcısı|muhatabı|ilgilisi|hedeflenen alıcı(?:sı)?) değilseniz",
    r"(?:sehven|yanlışlıkla|hata(?:en)?) .{0,40}(?:ulaş|al(?:dı|mış)|gel(?:di|miş))",
    r"yazdırmadan önce .{0,40}(?:çevre|doğa)",
    r"(?:e-?mail|nachricht)\b.{0,120}\b(?:enthält|kann|ist)\b.{0,60}\bvertraulich",
    r"nicht der (?:richtige|beabsichtigte|vorgesehene) (?:adressat|empfänger)",
    r"irrtümlich (?:erhalten|zugegangen)",
    r"(?:message|courriel|e-?mail)\b.{0,120}\bconfidentiel",
    r"si vous n['’]êtes pas (?:le|la) destinataire",
    r"(?:mensaje|correo)\b.{0,120}\bconfidencial",
    r"si (?:usted )?no es (?:usted )?el destinatario",
)
"""A confidentiality notice, or the plea for trees."""
