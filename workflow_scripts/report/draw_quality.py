"""Estimates against truth, and what is left when the least sure are put aside, as the geometry of SVG."""

from typing import Any

from workflow_scripts.report.draw_scores import BOX, across, path, ticks, upwards


def draw_scatter(points: list[list[float]], gate: float) -> dict[str, Any]:
    """Return a dot for each [estimate, Dice, lower bound], the gate on both axes, and where both are equal."""
    x, y = across(0, 1), upwards(1)
    return BOX | {
        "dots": [{"x": x(estimate), "y": y(dice), "held": dice >= bound - 1e-9} for estimate, dice, bound in points],
        "x": ticks(x, 0.2),
        "y": ticks(y, 0.2),
        "gate_x": x(gate),
        "gate_y": y(gate),
        "equal": path([(x(0), y(0)), (x(1), y(1))]),
    }


def draw_risk(curve: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean Dice and share under the gate of the frames kept, from few to all."""
    x, y = across(0, 1), upwards(1)
    lines = {name: path([(x(point["share"]), y(point[name])) for point in curve]) for name in ("dice", "bad")}
    return BOX | {"lines": lines, "x": ticks(x, 0.2), "y": ticks(y, 0.2)}


def draw_quality(quality: dict[str, Any]) -> dict[str, Any] | None:
    """Return the charts of `summarise_quality`; None where nothing was evaluated."""
    evaluation = quality["evaluation"]
    if not evaluation or not evaluation["points"]:
        return None
    scatter = draw_scatter(evaluation["points"], evaluation["gate"])
    return {"scatter": scatter, "risk": draw_risk(evaluation["risk_coverage"])}
