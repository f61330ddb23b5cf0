"""ROC curve and reliability of a grader as the geometry of SVG: the template says how they look."""

from typing import Any

from workflow_scripts.report.draw_scores import BOX, across, path, ticks, upwards

STEP = 0.2


def draw_grader(found: dict[str, Any]) -> dict[str, Any]:
    """Return the charts of a task of grader.json: `roc` and `reliability`, each None where there is nothing to draw."""
    x, y = across(0, 1), upwards(1)
    frame = BOX | {
        "x": ticks(x, STEP),
        "y": ticks(y, STEP),
        "diagonal": path([(x(0), y(0)), (x(1), y(1))]),
    }
    charts: dict[str, Any] = {"roc": None, "reliability": None}
    if roc := found["roc"]:
        places = roc["false_positives"]
        band = ""
        if roc["band"] and all(roc["band"]):
            upper = [(x(at), y(high)) for at, (_, high) in zip(places, roc["band"], strict=True)]
            lower = [(x(at), y(low)) for at, (low, _) in zip(places, roc["band"], strict=True)]
            band = path([*upper, *reversed(lower)]) + "Z"
        curve = path([(x(at), y(value)) for at, value in zip(places, roc["true_positives"], strict=True)])
        charts["roc"] = frame | {"band": band, "curve": curve}
    if bins := found["reliability"]:
        most = max(row["n"] for row in bins)
        charts["reliability"] = frame | {
            "points": [
                {"x": x(row["predicted"]), "y": y(row["observed"]), "r": round(10 * (row["n"] / most) ** 0.5, 1)}
                for row in bins
            ]
        }
    return charts
