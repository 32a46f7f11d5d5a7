"""What every table of the settings is made of."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.values import AETitle, Oid, setting

OidText = Annotated[str, AfterValidator(setting(Oid))]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$")]
AETitleText = Annotated[str, AfterValidator(setting(AETitle))]
CodeText = Annotated[str, Field(pattern=r"^[^^|]+\^[^^|]*\^[^^|]+$")]
DocumentCode = Literal[
    "classCode",
    "typeCode",
    "formatCode",
    "healthcareFacilityTypeCode",
    "practiceSettingCode",
    "confidentialityCode",
    "contentTypeCode",
]


class Table(BaseModel):
    """Base of every settings table: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
