"""The words that `_audit_claims` knows, as patterns (no flags; matched without regard to case)."""

from __future__ import annotations

from typing import Final


def _verb(*stems: str) -> str:
    """Forms of regular verbs: raise → raise, raises, raised, raising; kick → kick, kicks …"""
    forms = []
    for stem in stems:
        if stem.endswith("e"):
            forms.append(f"{stem[:-1]}(?:e|es|ed|ing)")
        elif stem.endswith("y") and stem[-2] not in "aeo":
            forms.append(f"{stem[:-1]}(?:y|ies|ied|ying)")
        elif stem[-1] in "bgmnprt" and stem[-2] in "aeiou" and stem[-3:-2] not in (*"aeiou", ""):
            forms.append(f"{stem}(?:s|{stem[-1]}?ed|{stem[-1]}?ing)?")
        else:
            forms.append(f"{stem}(?:s|es|ed|ing)?")
    return "|".join(forms)


ARM: Final = r"arms?|hands?|elbows?|forearms?|wrists?|fists?|palms?|fingers?|hook|jab|punch|cross"
LEG: Final = (
    r"legs?|foot|feet|knees?|ankles?|thighs?|heels?|toes?|shins?|calf|kick|roundhouse|high[\s-]kick"
)

_RAISE = (
    _verb("raise", "lift", "elevate", "hoist", "salute", "lower", "drop")
    + r"|(?:puts?|putting|goes|go|going|comes?|coming|held|holds?|holding|brings?|bringing|"
    r"brought|throws?|moves?|moving|swings?|swinging)\s+(?:(?:the|his|her|their|its)\s+)?"
    r"(?:(?:left|right)\s+)?(?:arm|hand|fist|elbow|leg|foot|knee)?\s*"
    r"(?:straight\s+|high\s+)?(?:up|upwards?|overhead|above|high|into\s+the\s+air)"
    r"|up\s+high|overhead|in\s+the\s+air|above\s+(?:the|his|her|their)\s+heads?"
    r"|ris(?:es|ing)|rose|risen|(?!pick|some|any|noth)\w+(?:s|ed|ing)\s+(?:straight\s+)?(?:up|upwards?|skywards?)"
)
_EXTEND = _verb("extend", "stretch", "outstretch", "reach", "point", "straighten")
_ARM_MOVES = (
    _verb(
        "wave", "gesture", "beckon", "swing", "circle", "rotate", "shake", "punch", "jab", "hook",
        "strike", "slap", "throw", "toss", "pitch", "serve", "slash", "chop", "sweep", "flap",
        "wiggle", "flail", "pump", "thrust", "move", "twirl", "whirl", "use", "pull", "push",
        "hammer", "brush", "stroke", "paint", "write", "draw", "dribble", "bounce", "knock",
        "perform", "conduct", "act", "respond", "greet", "signal", "motion", "flick", "wag",
        "waggle", "oscillate", "jiggle", "flutter", "twitch", "stir", "salute",
    )
    + r"|swung|struck|thr[eo]wn?|shook|cast|(?:to\s+and\s+fro|back\s+and\s+forth)|"
    r"goodbye|hello|movements?|motions?|gestures?"
)  # fmt: skip
_KICK = (
    _verb("kick", "raise", "lift", "elevate", "swing", "hoist", "boot", "flick")
    + r"|swung|(?:comes?|coming|goes|going|picks?|picked|brings?|brought|puts?)\s+(?:\w+\s+){0,3}up"
    r"|ris(?:es|ing)|rose|leaves\s+the\s+(?:floor|ground)|off\s+the\s+(?:floor|ground)"
)
_STEP = (
    _verb("step", "stride", "lunge", "stomp", "stamp", "tap", "slide", "lead", "start", "shift")
    + r"|led|slid|steps?\s+(?:forward|back)"
)
_LEG_MOVES = _verb("move", "shake", "rotate", "circle", "wiggle", "extend", "stretch", "thrust")

#: limb → manner → its verbs. Of several in a clause the nearest counts.
MANNERS: Final[dict[str, dict[str, str]]] = {
    "arm": {"raise": _RAISE, "extend": _EXTEND, "move": _ARM_MOVES},
    "leg": {"kick": _KICK, "step": _STEP, "move": _LEG_MOVES},
}
#: A limb that only is somewhere.
RESTS: Final = (
    r"keep(?:s|ing)?|kept|hold(?:s|ing)?|held|rest(?:s|ed|ing)?|remain(?:s|ed|ing)?|"
    r"stay(?:s|ed|ing)?|hang(?:s|ing)?|plant(?:s|ed|ing)?|lies|lying|"
    r"carr(?:y|ies|ied|ying)|grip(?:s|ped|ping)?|bent|tucked|folded|placed?|places|relaxed|"
    r"still|motionless|stationary|lead(?:ing)?\s+leg"
)
BESIDE: Final = (
    r"(?:remains?|stays?|is|rests?|hangs?|held|kept)\s+(?:still|down|by|at|on(?!\s+the\s+move)|"
    r"in(?!\s+(?:motion|movement|action|the\s+air))|behind|relaxed|"
    r"planted|bent|close|near|low|straight|lowered)|(?:on|at|by|near)\s+(?:the|his|her|their)\s+"
    r"(?:hips?|waist|sides?|chest|thighs?|lap|back|knees?)|behind\s+(?:the|his|her|their)\s+back"
)
#: Verbs whose object is touched, not moved.
OBJECTS: Final = (
    r"touch(?:es|ed|ing)?|grab(?:s|bed|bing)?|grasp(?:s|ed|ing)?|hold(?:s|ing)?|held|"
    r"pat(?:s|ted|ting)?|tap(?:s|ped|ping)?|rub(?:s|bed|bing)?|scratch(?:es|ed|ing)?|"
    r"hug(?:s|ged|ging)?|massag(?:e|es|ed|ing)|cross(?:es|ed|ing)?|clasp(?:s|ed|ing)?|"
    r"check(?:s|ed|ing)?|examin(?:e|es|ed|ing)|look(?:s|ed|ing)?\s+at|meets?"
)
#: Somebody or something else acts in the clause; "someone" at its beginning is the person.
OTHERS: Final = (
    r"\b(?:another|others?|(?<=\w\s)(?:someone|somebody)|opponents?|partners?|coach|instructor|"
    r"audience|crowd|spectators?|onlookers?|people|players|dancers|children|dogs?|cats?|horses?|"
    r"balls?\s+(?:flies|flew|rolls|bounces|hits|goes)|cars?|"
    r"camera\s+(?:pans?|moves?|zooms?|turns?|follows?)|"
    r"(?:second|first|two|three|both)\s+(?:person|man|woman|men|women))\b"
)
#: Somebody who is only looked at or greeted.
ADDRESSED: Final = (
    r"\b(?:(?:at|to|towards?|for|before|facing|in\s+front\s+of|greet\w*|guid(?:es|ed|ing)|"
    r"call(?:s|ed|ing)?|invit\w+|beckon\w*|direct\w*|hail\w*|address\w*|welcom\w+)\s+)"
    r"(?:(?:the|an?|some|their|his|her)\s+)?(?:audience|crowd|spectators?|onlookers?|people|others|"
    r"someone|somebody|another\s+person|opponent|partner|friend)(?!['’])\b(?!\s+(?:else|who|\w+ing))"
)
#: What follows is denied, intended, or a comparison.
HEDGES: Final = (
    r"\b(?:not|n't|never|without|instead\s+of|rather\s+than|about\s+to|prepar(?:e|es|ed|ing)|"
    r"ready\s+to|readies|try(?:ing)?\s+to|tries\s+to|attempt(?:s|ed|ing)?|intend(?:s|ed|ing)?|"
    r"as\s+if|as\s+though|like|similar\s+to|resembl\w+|or|possibly|perhaps|maybe|almost)\b|"
    r"\b\w+n't\b"
)
#: The same for the kind of motion alone: who pretends to throw does move the arm.
PRETENDS: Final = (
    r"\b(?:pretend(?:s|ed|ing)?|mimic\w*|simulat\w+|imitat\w+|seems?|seem(?:ed|ing)|appears?|"
    r"appeared)\b"
)

TURNS: Final = (
    _verb("turn", "rotate", "spin", "pivot", "twirl", "swivel", "whirl", "wheel", "curve", "swerve",
          "veer", "circle", "arc", "loop", "revolve")
    + r"|spun|chang(?:es|ed|ing)\s+(?:direction|course)"
)  # fmt: skip
TRAVELS: Final = (
    _verb("walk", "run", "jog", "sprint", "dash", "step", "sidestep", "shuffle", "stroll", "march",
          "move", "travel", "slide", "glide", "stride", "skip", "hop", "crawl", "wander", "strafe",
          "sidle", "drift", "shift", "scoot", "edge", "pace", "proceed", "advance", "jump", "leap",
          "hurry", "rush", "trot", "race", "dart", "tiptoe", "limp", "saunter", "amble", "strut",
          "creep", "sneak", "dance", "stagger", "gallop", "sashay", "progress", "traverse")
    + r"|ran|slid|goes|going|went|crept|snuck|side-steps?|side-stepp(?:ed|ing)|heads|headed|"
    r"heading|"
    r"mak(?:es|ing)\s+(?:his|her|their|its)\s+way|made\s+(?:his|her|their|its)\s+way|"
    r"(?:sideways|lateral|side)\s+(?:steps|movement|walk)|walking"
)  # fmt: skip
#: Nouns that make a way or a turn of the side before them: a left turn, a leftward drift.
TURN_NOUNS: Final = (
    r"turns?|pivots?|spins?|rotations?|swivel|curves?|arcs?|bends?|swerve|veer|circles?|loops?|"
    r"u-turn|about-face"
)
WAY_NOUNS: Final = (
    r"side-?steps?|shuffles?|strafe|slides?|drift|movements?|motion|path|diagonal|direction|shift"
)
#: An "and" before one of these begins a clause of its own.
VERB: Final = "|".join(
    (
        TURNS, TRAVELS, _EXTEND, _ARM_MOVES, _KICK, _STEP,
        _verb("lower", "drop", "salute", "jump", "leap", "squat", "crouch", "kneel", "bow", "bend",
              "clap", "stand", "look", "lean", "return", "hold", "put", "bring", "place", "sit"),
        r"stands|stood|sits|sat|puts|brings|holds|keeps|returns|falls|lies|gets",
    )
)  # fmt: skip

#: motion → pattern, and words beside which it means something else.
MOTIONS: Final[dict[str, tuple[str, str]]] = {
    "jump": (
        _verb("jump", "hop") + r"|leap(?:s|ed|ing|t)?|jumping\s+jacks?",
        r"rope|start|shot|over\s+to",
    ),
    "run": (
        _verb("sprint", "dash") + r"|runs?|ran|running|jog(?:s|ged|ging)?",
        r"hands?|fingers?|track|shoes|machine|through|water|start|in\s+place|after|over",
    ),
    "walk": (
        _verb("walk", "stroll", "march") + r"|strides|striding|strode",
        r"walking\s+(?:stick|path|frame|pad)|walkway|in\s+place|on\s+the\s+spot|through\s+the",
    ),
    "still": (
        r"stand(?:s|ing)?\s+(?:\w+\s+)?(?:still|motionless)|(?:remain|stay)(?:s|ed|ing)?\s+"
        r"(?:still|stationary|motionless)|(?:is|completely)\s+(?:stationary|motionless)",
        r"legs?|head|arms?|hands?|torso|feet",
    ),
    "sit": (
        _verb("kneel", "squat", "crouch", "crawl")
        + r"|sit(?:s|ting)?|sat|seated|knelt|lies?\s+down|lying",
        r"sit-?ups?|half|slight(?:ly)?|partial(?:ly)?|stool|counter|edge",
    ),
    "raise-arms": (
        r"(?:rais|lift)(?:e|es|ed|ing|s)?\s+(?:both\s+)?(?:(?:the|his|her|their)\s+)?(?:both\s+)?"
        r"(?:arms|hands)(?:\s+(?:up|above|over\w*|high))?",
        r"shoulder|one|slight\w*",
    ),
    "raise-arm": (
        r"(?:rais|lift)(?:e|es|ed|ing|s)?\s+(?:one|a|an|the|his|her|their)?\s*"
        r"(?:(?:left|right|other)\s+)?(?:arm|hand)(?:\s+(?:up|above|overhead|high))?",
        r"slight\w*",
    ),
    "wave": (
        r"wav(?:es|ed|ing)\s+(?:goodbye|hello|at|to|his|her|their|the|both|one|a)|waves",
        r"waves?\s+of|flag|water|ocean|body",
    ),
    "punch": (
        _verb("punch", "jab", "clap") + r"|throws?|throwing|threw",
        r"bag|air\s+out|kick",
    ),
    "kick": (_verb("kick"), r"kick-?off|kickboard|free"),
    "spin": (
        r"(?:spin|rotat|twirl|whirl|turn)(?:s|e|es|ed|ing|ning|ned)?\s+(?:\w+\s+)?(?:around|round|"
        r"360|in\s+a\s+(?:full\s+)?circle)|pirouett\w+|cartwheel\w*|somersault\w*",
        r"head|face|wrists?|arms?|hands?|hips?|waist|torso|shoulders?|look\w*",
    ),
    "move": (
        r"danc(?:es|ed|ing)|exercis(?:es|ed|ing)|performs?\s+(?:a\s+)?(?:\w+\s+)?dance|workout|"
        r"boxes|boxing",
        "",
    ),
}
