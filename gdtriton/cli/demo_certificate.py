"""The demo's verdicts: the certificate of its trained network and the refutation of its CNN, for page and metrics."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models.scale_experiment import ExperimentResult
    from ..verify.network.verdict import Verdict


def judge(result: "ExperimentResult") -> dict[str, "Verdict"]:
    """Verdicts about the trained network and the CNN of one size, for images as the test shows them."""
    from ..verify import certify

    side = result.config.test_canvas
    shape = (1, result.config.network.in_channels, side, side)
    return {"network": certify(result.network, shape), "cnn": certify(result.cnn, shape)}


def recheck(data: dict[str, Any]) -> dict[str, int] | None:
    """The independent checker's counts for a certificate or refutation, None where nothing is claimed.

    Raises:
        ProofError: The checker does not follow: the verdict must not be shown.
    """
    from ..verify.network.check import check_network

    if data["verdict"] == "unknown":
        return None
    report = check_network(data)
    return {"obligations": report.obligations, "trusted": len(report.trusted)}


def metrics(verdicts: dict[str, "Verdict"]) -> dict[str, Any]:
    """What `metrics.json` keeps: everything but the derivation's steps, and the checker's counts."""
    kept = {}
    for key, verdict in verdicts.items():
        data = verdict.to_json()
        kept[key] = {name: value for name, value in data.items() if name not in ("proof", "format")}
        kept[key]["checker"] = recheck(data)
    return kept


def section(verdicts: dict[str, "Verdict"]) -> str:
    """The page's section: both verdicts, the network's derivation by module, links to the theorems it rests on."""
    from jinja2 import Environment, StrictUndefined

    from ..verify.network import report_theorems, report_words
    from ..verify.network.report_witness import witness_words

    network, cnn = (verdicts[key].to_json() for key in ("network", "cnn"))
    steps = (network.get("proof") or {}).get("steps", [])
    place = cnn.get("offender") or {}
    broken = place.get("rule", "")
    source = files(__package__).joinpath("demo_certificate.html.j2").read_text(encoding="utf-8")
    # What these functions return is HTML of their own making, escaped where it quotes a network's words.
    return (
        Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        .from_string(source)
        .render(
            network=network,
            cnn=cnn,
            checker=recheck(network),
            rows=report_words.rows_by_module(steps),
            words=report_words,
            witness_words=witness_words,
            link=report_theorems.link,
            missed=report_theorems.missed_by(broken)[0],
            theorems=report_theorems.statements(report_theorems.used(steps, broken)),
        )
    )
