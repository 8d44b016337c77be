"""What a cluster file may say about the test pods besides their images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr, model_validator

from pytest_calico_perf.clusterfile.fields import Model, misfit
from pytest_calico_perf.clusterfile.names import is_label_key, is_label_value

# Kubernetes' serialisation of quantities (apimachinery/pkg/api/resource/quantity.go).
_QUANTITY = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2}|)"
)
_FACTORS = {
    "": Decimal(1),
    **{
        letter: Decimal(1000) ** power
        for letter, power in zip("numkMGTPE", (-3, -2, -1, 1, 2, 3, 4, 5, 6), strict=True)
    },
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
_LONGEST_QUANTITY = 32


def _quantity(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, str) else ""
    if len(text) > _LONGEST_QUANTITY or _QUANTITY.fullmatch(text) is None:
        raise ValueError("should be a quantity such as 500m or 256Mi")
    return text


def _amount(quantity: str) -> Decimal:
    """A quantity as a number: `500m` is 0.5, `1Ki` is 1024."""
    match = _QUANTITY.fullmatch(quantity)
    assert match is not None
    number, suffix = Decimal(match["number"]), match["suffix"]
    return number * _FACTORS[suffix] if suffix in _FACTORS else number.scaleb(int(suffix[1:]))


def _key(text: str) -> str:
    if not is_label_key(text):
        raise ValueError("should be a name such as cpu or node-role.kubernetes.io/control-plane")
    return text


def _value(text: str) -> str:
    if not is_label_value(text):
        raise ValueError("should be at most 63 letters, digits, dashes, dots and underscores")
    return text


Quantity = Annotated[str, BeforeValidator(_quantity)]
Key = Annotated[StrictStr, AfterValidator(_key)]


class TolerationOperator(StrEnum):
    """How a toleration is held against a taint; spelt as Kubernetes does."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does; spelt as Kubernetes does."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Model):
    """A taint the test pods do not mind. What is left out is left out of the pod, too.

    Attributes:
        key: The taint's key; None with `Exists` stands for every one.
        operator: Whether the value counts.
        value: The taint's value, for `Equal`.
        effect: The taint's effect; None stands for every one.
        toleration_seconds: How long, in seconds, for `NoExecute`; None is for ever.
    """

    key: Key | None = None
    operator: TolerationOperator = TolerationOperator.EQUAL
    value: Annotated[StrictStr, AfterValidator(_value)] = ""
    effect: TaintEffect | None = None
    toleration_seconds: Annotated[StrictInt, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _as_the_api_demands(self) -> Self:
        # validateTolerations, kubernetes pkg/apis/core/validation.
        if self.key is None and self.operator is not TolerationOperator.EXISTS:
            raise misfit(("key",), "is needed unless the operator is Exists")
        if self.value and self.operator is TolerationOperator.EXISTS:
            raise misfit(("value",), "means nothing to the operator Exists")
        if self.toleration_seconds is not None and self.effect is not TaintEffect.NO_EXECUTE:
            raise misfit(("toleration-seconds",), "means something to the effect NoExecute only")
        return self

    def manifest(self) -> dict[str, Any]:
        """It as an object of the Kubernetes API."""
        known = {
            "key": self.key,
            "operator": str(self.operator),
            "value": self.value or None,
            "effect": str(self.effect) if self.effect else None,
            "tolerationSeconds": self.toleration_seconds,
        }
        return {name: value for name, value in known.items() if value is not None}


class Resources(Model):
    """What each container asks for and may take: name of a resource -> quantity.

    A CPU limit throttles the tools and so is measured, too; a request does not.

    Attributes:
        requests: What a node must have free.
        limits: What it may not exceed.
    """

    requests: Mapping[Key, Quantity] = Field(default_factory=dict)
    limits: Mapping[Key, Quantity] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name, quantity in self.requests.items():
            limit = self.limits.get(name)
            if limit is not None and _amount(quantity) > _amount(limit):
                raise misfit(
                    ("requests", name),
                    f"{quantity} is more than the limit, {limit} in line {{line}}",
                    other=("limits", name),
                )
        return self

    def manifest(self) -> dict[str, Any]:
        """They as the `resources` of a container."""
        known = {"requests": dict(self.requests), "limits": dict(self.limits)}
        return {name: quantities for name, quantities in known.items() if quantities}
