"""The words of the world: each list in two halves, of which training data has the first only.

``VERBS``: family → (in training, held out); a verb phrase is (finite, participle). The others
likewise. No phrase of a second half is one of a first half.
"""

from __future__ import annotations

from typing import Final

Verb = tuple[str, str]
Halves = tuple[tuple[str, ...], tuple[str, ...]]

VERBS: Final[dict[str, tuple[tuple[Verb, ...], tuple[Verb, ...]]]] = {
    "move": (
        (
            ("shifts", "shifting"),
            ("sails", "sailing"),
            ("wanders", "wandering"),
            ("proceeds", "proceeding"),
            ("flies", "flying"),
            ("moves", "moving"),
            ("drifts", "drifting"),
            ("slides", "sliding"),
            ("goes", "going"),
            ("travels", "travelling"),
        ),
        (("glides", "gliding"), ("makes progress", "making progress"), ("heads", "heading")),
    ),
    "roll": (
        (
            ("rolls over the ground", "rolling over the ground"),
            ("wheels along", "wheeling along"),
            ("goes rolling", "going on rolling"),
            ("rolls", "rolling"),
            ("rolls like a wheel", "rolling like a wheel"),
            ("rolls along", "rolling along"),
        ),
        (
            ("trundles", "trundling"),
            ("tumbles along as a ball does", "tumbling along as a ball does"),
        ),
    ),
    "accelerate": (
        (
            ("moves faster and faster", "moving faster and faster"),
            ("picks up speed", "picking up speed"),
            ("becomes ever quicker going", "becoming ever quicker going"),
            ("accelerates", "accelerating"),
            ("speeds up", "speeding up"),
            ("starts from rest and picks up speed", "starting from rest and picking up speed"),
        ),
        (
            ("gets faster and faster on the way", "getting faster and faster on the way"),
            ("gathers speed", "gathering speed"),
        ),
    ),
    "slow_down": (
        (
            ("moves slower and slower", "moving slower and slower"),
            ("brakes", "braking"),
            ("gradually stops on the way", "gradually stopping on the way"),
            ("slows down", "slowing down"),
            ("brakes to a halt on the way", "braking to a halt on the way"),
            ("loses speed and stops on the way", "losing speed and stopping on the way"),
        ),
        (("comes to rest going", "coming to rest going"), ("decelerates", "decelerating")),
    ),
    "stop_and_go": (
        (
            ("keeps stopping while going", "stopping repeatedly while going"),
            ("takes many breaks while moving", "taking many breaks while moving"),
            ("moves and rests in turn going", "moving and resting in turn going"),
            ("starts and stops on the way", "starting and stopping on the way"),
            ("moves in stops and starts", "moving in stops and starts"),
            ("halts again and again while moving", "halting again and again while moving"),
        ),
        (
            ("advances in fits and starts", "advancing in fits and starts"),
            ("pauses again and again heading", "pausing again and again heading"),
        ),
    ),
    "turn_back": (
        (
            ("turns round after going", "turning round after going"),
            ("goes back again after moving", "going back again after moving"),
            ("changes its mind after going", "changing its mind after going"),
            ("turns back after moving", "turning back after moving"),
            ("returns after a way", "returning after a way"),
            ("comes back after going", "coming back after going"),
        ),
        (
            ("reverses after heading", "reversing after heading"),
            ("retreats again after a trip", "retreating again after a trip"),
        ),
    ),
    "zigzag": (
        (
            ("takes a zig-zag course", "taking a zig-zag course"),
            ("moves along a sawtooth path", "moving along a sawtooth path"),
            ("swerves up and down going", "swerving up and down going"),
            ("zigzags", "zigzagging"),
            ("moves in a zig-zag", "moving in a zig-zag"),
            ("goes in zig-zag lines", "going in zig-zag lines"),
        ),
        (
            ("weaves up and down heading", "weaving up and down heading"),
            ("follows a jagged line", "following a jagged line"),
        ),
    ),
    "bounce_along": (
        (
            ("jumps along", "jumping along"),
            ("skips along", "skipping along"),
            ("bounds along", "bounding along"),
            ("bounces", "bouncing"),
            ("hops", "hopping"),
            ("bounces along", "bouncing along"),
        ),
        (("springs along", "springing along"), ("leaps in arcs", "leaping in arcs")),
    ),
    "spin": (
        (
            ("whirls round in place", "whirling round in place"),
            ("rotates about its middle", "rotating about its middle"),
            ("turns round its own axis", "turning round its own axis"),
            ("spins in place", "spinning in place"),
            ("turns on the spot", "turning on the spot"),
            ("keeps rotating in place", "rotating in place"),
        ),
        (
            ("twirls on the spot", "twirling on the spot"),
            ("revolves in place", "revolving in place"),
        ),
    ),
    "circle": (
        (
            ("runs round a ring", "running round a ring"),
            ("orbits a point", "orbiting a point"),
            ("follows a circular path", "following a circular path"),
            ("moves in a circle", "moving in a circle"),
            ("circles", "circling"),
            ("goes round in circles", "going round in circles"),
        ),
        (("travels a round track", "travelling a round track"), ("loops round", "looping round")),
    ),
    "fall": (
        (
            ("plummets", "plummeting"),
            ("drops down", "dropping down"),
            ("crashes down", "crashing down"),
            ("falls down", "falling down"),
            ("drops to the ground", "dropping to the ground"),
            ("falls", "falling"),
        ),
        (("plunges down", "plunging down"), ("tumbles to the floor", "tumbling to the floor")),
    ),
    "bounce": (
        (
            ("bounces like a ball", "bouncing like a ball"),
            ("jumps up again and again", "jumping up again and again"),
            ("keeps hopping where it is", "hopping where it is"),
            ("bounces up and down", "bouncing up and down"),
            ("keeps bouncing in place", "bouncing in place"),
            ("hops on the spot", "hopping on the spot"),
        ),
        (
            (
                "rebounds off the ground again and again",
                "rebounding off the ground again and again",
            ),
            ("springs up over and over", "springing up over and over"),
        ),
    ),
    "jump": (
        (
            ("hops once", "hopping once"),
            ("jumps into the air one time", "jumping into the air one time"),
            ("takes a leap and lands", "taking a leap and landing"),
            ("jumps up once", "jumping up once"),
            ("jumps and lands again", "jumping and landing again"),
            ("makes one jump", "making one jump"),
        ),
        (
            ("leaps up and comes down again", "leaping up and coming down again"),
            ("does a single hop in the air", "doing a single hop in the air"),
        ),
    ),
    "flutter": (
        (
            ("drifts down swaying like paper", "drifting down swaying like paper"),
            (
                "sways from side to side on its way down",
                "swaying from side to side on its way down",
            ),
            ("flutters to the ground", "fluttering to the ground"),
            ("flutters down", "fluttering down"),
            ("sinks while fluttering", "sinking and fluttering"),
            ("flutters downwards like a leaf", "fluttering downwards like a leaf"),
        ),
        (
            ("wafts down from side to side", "wafting down from side to side"),
            ("floats down like a feather", "floating down like a feather"),
        ),
    ),
    "approach": (
        (
            ("becomes bigger and bigger", "becoming bigger and bigger"),
            ("moves towards the camera", "moving towards the camera"),
            ("draws nearer", "drawing nearer"),
            ("comes closer", "coming closer"),
            ("approaches", "approaching"),
            ("grows larger and larger", "growing larger and larger"),
        ),
        (("nears the camera", "nearing the camera"), ("gets bigger", "getting bigger")),
    ),
    "recede": (
        (
            ("becomes smaller and smaller", "becoming smaller and smaller"),
            ("goes off into the distance", "going off into the distance"),
            ("dwindles", "dwindling"),
            ("moves away from the camera", "moving away from the camera"),
            ("recedes", "receding"),
            ("shrinks into the distance", "shrinking into the distance"),
        ),
        (
            ("gets smaller", "getting smaller"),
            ("retires into the distance", "retiring into the distance"),
        ),
    ),
    "swing": (
        (
            ("hangs and swings", "hanging and swinging"),
            ("sways on a rope", "swaying on a rope"),
            ("swings back and forth like a lamp", "swinging back and forth like a lamp"),
            ("swings like a pendulum", "swinging like a pendulum"),
            ("swings", "swinging"),
            ("swings to and fro on a string", "swinging to and fro on a string"),
        ),
        (
            ("dangles back and forth", "dangling back and forth"),
            ("sways like a clock's pendulum", "swaying like a clock's pendulum"),
        ),
    ),
    "shuttle": (
        (
            ("oscillates sideways", "oscillating sideways"),
            ("goes there and back again and again", "going there and back again and again"),
            ("slides back and forth", "sliding back and forth"),
            ("moves back and forth", "moving back and forth"),
            ("goes from side to side", "going from side to side"),
            ("slides to and fro", "sliding to and fro"),
        ),
        (
            ("shuttles sideways", "shuttling sideways"),
            ("commutes there and back", "commuting there and back"),
        ),
    ),
    "bob": (
        (
            ("goes up and down", "going up and down"),
            ("rises and falls again and again", "rising and falling again and again"),
            ("floats as on waves", "floating as on waves"),
            ("moves up and down", "moving up and down"),
            ("bobs up and down", "bobbing up and down"),
            ("floats up and down", "floating up and down"),
        ),
        (
            ("rises and sinks in turn", "rising and sinking in turn"),
            ("heaves like a boat", "heaving like a boat"),
        ),
    ),
    "figure_eight": (
        (
            ("flies a figure of eight", "flying a figure of eight"),
            ("follows the shape of an 8", "following the shape of an 8"),
            ("moves in a figure eight", "moving in a figure eight"),
            ("traces an eight", "tracing an eight"),
        ),
        (("draws a lying 8", "drawing a lying 8"),),
    ),
    "flip": (
        (
            ("turns like a page again and again", "turning like a page again and again"),
            ("keeps flipping", "flipping on and on"),
            ("tumbles like a tossed coin", "tumbling like a tossed coin"),
            ("flips over and over", "flipping over and over"),
            ("keeps turning over", "turning over and over"),
            ("shows front and back in turn", "showing front and back in turn"),
        ),
        (
            ("somersaults in place", "somersaulting in place"),
            ("rotates like a revolving door", "rotating like a revolving door"),
        ),
    ),
    "rock": (
        (
            ("tips to one side and the other", "tipping to one side and the other"),
            ("leans to and fro on the spot", "leaning to and fro on the spot"),
            ("sways like a rocking chair", "swaying like a rocking chair"),
            ("rocks in place", "rocking in place"),
            ("tilts from side to side", "tilting from side to side"),
        ),
        (("wags on the spot", "wagging on the spot"), ("seesaws", "seesawing")),
    ),
    "tremble": (
        (
            ("vibrates", "vibrating"),
            ("shudders", "shuddering"),
            ("twitches on the spot", "twitching on the spot"),
            ("trembles", "trembling"),
            ("shakes on the spot", "shaking on the spot"),
            ("shivers", "shivering"),
        ),
        (("quivers", "quivering"), ("jitters in place", "jittering in place")),
    ),
    "still": (
        (
            ("remains in place", "remaining in place"),
            ("is at rest", "being at rest"),
            ("stays without moving", "staying without moving"),
            ("stays still", "staying still"),
            ("does not move", "not moving"),
            ("stands still", "standing still"),
        ),
        (("rests where it is", "resting in its place"), ("keeps motionless", "keeping motionless")),
    ),
}


def _side(way: str, other: str) -> Halves:
    return (
        (
            way,
            f"to the {way}",
            f"{way}wards",
            f"towards the {way}",
            f"{way}ward",
            f"to the far {way}",
            f"towards the {way} border",
            f"from {other} to {way}",
        ),
        (
            f"to the {way} side of the picture",
            f"till it is far on the {way}",
            f"in the direction of the {way} edge",
        ),
    )


def _corner(rise: str, edge: str, way: str) -> Halves:
    return (
        (
            f"{rise} and to the {way}",
            f"diagonally {rise} to the {way}",
            f"{rise} to the {way}",
            f"to the {way} and {rise}",
            f"towards the {edge} {way}",
            f"obliquely {rise}wards, to the {way}",
        ),
        (f"to the {edge} {way} corner", f"aslant, {rise}wards and {way}"),
    )


DIRECTIONS: Final[dict[str, Halves]] = {
    "left": _side("left", "right"),
    "right": _side("right", "left"),
    "up": (
        (
            "up",
            "upwards",
            "straight up",
            "up the picture",
            "towards the top",
            "higher and higher",
            "to the top of the picture",
            "from bottom to top",
        ),
        ("from the bottom up", "to the upper edge"),
    ),
    "down": (
        (
            "down",
            "downwards",
            "straight down",
            "down the picture",
            "towards the bottom",
            "lower and lower",
            "to the bottom of the picture",
            "from top to bottom",
        ),
        ("from the top down", "to the lower edge"),
    ),
    "up_left": _corner("up", "top", "left"),
    "up_right": _corner("up", "top", "right"),
    "down_left": _corner("down", "bottom", "left"),
    "down_right": _corner("down", "bottom", "right"),
    "clockwise": (
        (
            "clockwise",
            "in a clockwise direction",
            "as the hands of a clock do",
            "in clockwise turns",
        ),
        ("with the clock", "the clockwise way round"),
    ),
    "anticlockwise": (
        (
            "anticlockwise",
            "counterclockwise",
            "in an anticlockwise direction",
            "the other way than the hands of a clock",
            "in anticlockwise turns",
        ),
        ("against the clock", "the anticlockwise way round"),
    ),
}

ADVERBS: Final[dict[str, Halves]] = {
    "slow": (
        (
            "slowly",
            "gently",
            "at a slow pace",
            "very slowly",
            "lazily",
            "at a crawl",
            "in no hurry",
            "with little speed",
        ),
        ("sluggishly", "unhurriedly", "without any haste"),
    ),
    "normal": (
        (
            "",
            "steadily",
            "at an even pace",
            "at a normal speed",
            "evenly",
            "at a usual pace",
            "at an average speed",
        ),
        ("at a moderate speed", "at a medium pace"),
    ),
    "fast": (
        (
            "quickly",
            "fast",
            "rapidly",
            "at high speed",
            "very fast",
            "in a hurry",
            "at a brisk pace",
            "with great speed",
        ),
        ("swiftly", "speedily", "at a great pace"),
    ),
}

#: {n} noun phrase, {f} finite clause, {p} participle clause.
TEMPLATES: Final[Halves] = (
    (
        "the {n} {f}",
        "the {n} {p}",
        "a {n} {p}",
        "the {n} that {f}",
        "{n} {p}",
        "a {n} that {f}",
        "look for the {n} that {f}",
        "this {n} {f}",
        "one {n}, {p}",
        "in the picture a {n} {f}",
    ),
    (
        "there is a {n} and it {f}",
        "find the {n} which {f}",
        "a {n} can be seen {p}",
        "watch the {n} as it {f}",
    ),
)
#: For several objects: {n} plural noun phrase.
GROUPS: Final[Halves] = (
    (
        "the two {n} {p}",
        "both {n} {p}",
        "two {n} that are {p}",
        "the {n} {p}",
        "look for two {n} {p}",
    ),
    ("a pair of {n} {p} together", "find the two {n} which are {p}"),
)
CAMERA: Final[dict[str, Halves]] = {
    "pan_left": (
        ("while the camera pans left", "as the camera turns to the left"),
        ("under a camera that pans leftwards",),
    ),
    "pan_right": (
        ("while the camera pans right", "as the camera turns to the right"),
        ("under a camera that pans rightwards",),
    ),
    "zoom_in": (
        ("while the camera zooms in", "as the view zooms in"),
        ("under a camera that zooms in",),
    ),
    "zoom_out": (
        ("while the camera zooms out", "as the view zooms out"),
        ("under a camera that zooms out",),
    ),
}

#: Shape → other words for it; the plural where it is irregular.
NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "circle": ("circle", "disc"),
    "ellipse": ("ellipse", "oval"),
    "square": ("square",),
    "diamond": ("diamond", "rhombus"),
    "cross": ("cross", "plus sign"),
    "moon": ("moon", "crescent"),
    "rabbit": ("rabbit", "bunny"),
    "rectangle": ("rectangle", "oblong"),
}
PLURALS: Final[dict[str, str]] = {
    "rhombus": "rhombuses",
    "cross": "crosses",
    "leaf": "leaves",
    "butterfly": "butterflies",
    "fish": "fish",
    "bunny": "bunnies",
}
ANY: Final = ("object", "thing", "shape")
