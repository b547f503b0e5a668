"""The model files that are there; absent ones are summed up, since nobody needs all of them."""

from __future__ import annotations

from motionkit.doctor.finding import Finding
from motionkit.weights import models_folder
from motionkit.weights.known import ModelState, models


def findings() -> list[Finding]:
    """One finding a model that is there, compared with its record by size and time; none is
    read."""
    try:
        return judged(models())
    except OSError as error:
        return [Finding("models", "wrong", f"{models_folder()}: {error.strerror or error}",
                        "choose another folder with MOTIONKIT_MODELS")]  # fmt: skip


def judged(states: list[ModelState]) -> list[Finding]:
    """The findings of these models."""
    found = []
    for model in states:
        size = "" if model.megabytes is None else f", {model.megabytes} MB"
        if model.state == "present":
            about = f"{model.licence}{size}"
            if model.sha256 is None:
                about += "; placed by hand, not recorded yet"
            found.append(Finding(f"model {model.spec}", "ok", about))
        elif model.state == "broken":
            cure = f"motionkit models verify {model.spec}   (or: models fetch {model.spec} --again)"
            found.append(Finding(f"model {model.spec}", "wrong", str(model.problem), cure))
    absent = sum(model.state == "absent" for model in states)
    if not found:
        found.append(
            Finding("models", "absent", f"none in {models_folder()}; the embedded ones need none",
                    "motionkit models fetch --for RECIPE   (motionkit models list)")
        )  # fmt: skip
    elif absent:
        found.append(Finding("further models", "absent", f"{absent} known ones are not here",
                             "motionkit models list"))  # fmt: skip
    return found
