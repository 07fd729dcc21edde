"""What templates can call: name, the least and the most number of arguments, and the function."""

from __future__ import annotations

from collections.abc import Mapping

from dynbalancer.core.gotemplates import builtins, lists, sums, texts
from dynbalancer.core.gotemplates.builtins import Function
from dynbalancer.core.labels.naming import normalize

__all__ = ["ELSEWHERE", "FUNCTIONS", "Function"]

FUNCTIONS: Mapping[str, Function] = {
    **builtins.FUNCTIONS,
    **texts.FUNCTIONS,
    **lists.FUNCTIONS,
    **sums.FUNCTIONS,
    "normalize": (1, 1, texts.of_text(normalize)),
}

_CONTAINER = "only what is known of the container is there"
_CHANGING = (
    *("now", "date", "dateInZone", "dateModify", "htmlDate", "ago", "unixEpoch", "duration", "toDate"),
    *("uuidv4", "randInt", "randAlpha", "randAlphaNum", "randNumeric", "randAscii", "randBytes", "shuffle"),
    *("genPrivateKey", "genCA", "genSelfSignedCert", "genSignedCert", "derivePassword", "bcrypt", "htpasswd"),
)
_SAME = "one template gives the same text every time"

#: Functions of Go and sprig that there are not, and why.
ELSEWHERE: Mapping[str, str] = {
    # The balancer's own environment is nobody's business.
    **dict.fromkeys(("env", "expandenv", "getHostByName"), _CONTAINER),
    **dict.fromkeys(_CHANGING, _SAME),
    **dict.fromkeys(("call", "js", "semver", "semverCompare", "urlParse", "urlJoin"), ""),
}
