"""``maillage pki``: a private test authority, certificates for nodes, cards without cards."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hub.app.keys import cards as pki_cards
from hub.app.keys import pki
from hub.app.keys.cards import Card, Layout

out = Console(width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True)

pki_app = typer.Typer(
    no_args_is_help=True,
    help="A private test authority, certificates for nodes, cards without cards. For trials: in production the "
    "region's own authority and IGC-Santé issue them.",
)
DirectoryOption = Annotated[Path, typer.Option("--directory", "-d", help="Where keys and certificates are kept.")]


@pki_app.command("init")
def init(
    directory: DirectoryOption = Path("pki"),
    node: Annotated[list[str] | None, typer.Option(help="Issue a certificate for this node as well.")] = None,
) -> None:
    """Make a test authority (`ca.crt`, `ca.key`), and certificates for nodes if asked."""
    out.print(f"authority: {pki.init(directory)}")
    for name in node or ():
        out.print(f"node {name}: {pki.issue(directory, name)}")


@pki_app.command("node")
def node(
    name: Annotated[str, typer.Argument(help="The node's name: `hub`, `his-a` ...")],
    directory: DirectoryOption = Path("pki"),
    host: Annotated[list[str] | None, typer.Option(help="A further host name or address of the node.")] = None,
) -> None:
    """Issue a key and a certificate for a node, as server and as client, valid on this machine and the hosts given."""
    path = pki.issue(directory, name, tuple(host or ()))
    out.print(f"certificate: {path}\nkey: {path.with_suffix('.key')}")
    out.print(f"certificate_sha256 for [[clients]]: {pki.fingerprint(path)}", markup=False)


@pki_app.command("card")
def card(  # noqa: PLR0917 (typer reads options from parameters)
    name: Annotated[str, typer.Argument(help="Of the files: `NAME.crt`, `NAME.key`.")],
    directory: DirectoryOption = Path("pki"),
    layout: Annotated[Layout, typer.Option(help="Whose certificate it looks like.")] = Layout.CPS,
    number: Annotated[str, typer.Option("--id", help="idNat_PS (CN). Default: one that fits the layout.")] = "",
    family: Annotated[str, typer.Option(help="Family name (SN).")] = "DURAND",
    given: Annotated[str, typer.Option(help="Given name (GN).")] = "Anne",
    profession: Annotated[str, typer.Option(help="Code of the profession (TRE_G15): 10 is a doctor.")] = "10",
    speciality: Annotated[list[str] | None, typer.Option(help="Code of a speciality (TRE_R01): SM26.")] = None,
    structure: Annotated[str, typer.Option(help="Struct_IdNat of an organisation (OU).")] = "1750100125",
    structure_name: Annotated[str, typer.Option(help="Its name (O).")] = "HOPITAL A",
    common_name: Annotated[str, typer.Option(help="CN of an organisation's certificate.")] = "",
    days: Annotated[int, typer.Option(help="How long it is valid; below zero: it has expired.")] = pki_cards.CARD_DAYS,
    crl_url: Annotated[str, typer.Option(help="Where its revocation list is (http).")] = "",
    ocsp_url: Annotated[str, typer.Option(help="Where its OCSP responder is (http).")] = "",
    password: Annotated[str, typer.Option(help="Write `NAME.p12` as well, with this password.")] = "",
) -> None:
    """Issue a key and a certificate as they are on a CPS or CPE card, or a structure's, in the layout of IGC-Santé."""
    wanted = Card(
        layout=layout,
        id=number,
        family=family,
        given=given,
        profession=profession,
        specialities=tuple(speciality if speciality is not None else ("SM26",)),
        structure=structure,
        structure_name=structure_name,
        common_name=common_name,
        days=days,
        crl_url=crl_url,
        ocsp_url=ocsp_url,
    )
    path = pki_cards.issue(directory, name, wanted)
    out.print(f"certificate: {path}\nkey: {path.with_suffix('.key')}")
    if password:
        out.print(f"PKCS#12: {pki.export(directory, name, password)}")


@pki_app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="Of the certificate's files.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, help="Password of the file.")],
    directory: DirectoryOption = Path("pki"),
) -> None:
    """Write key and certificate as PKCS#12 (`NAME.p12`), which browsers and workstations import."""
    out.print(f"PKCS#12: {pki.export(directory, name, password)}")


@pki_app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Of the certificate's files.")],
    directory: DirectoryOption = Path("pki"),
) -> None:
    """Revoke a certificate: the authority's list (`ca.crl`) names it from now on."""
    out.print(f"revocation list: {pki.revoke(directory, name)}")


@pki_app.command("crl")
def crl(
    directory: DirectoryOption = Path("pki"),
    days: Annotated[int, typer.Option(help="How long the list is valid.")] = pki.CRL_DAYS,
) -> None:
    """Sign the authority's revocation list anew (`ca.crl`), for `tls.crls`."""
    out.print(f"revocation list: {pki.crl(directory, days=days)}")


@pki_app.command("show")
def show(directory: DirectoryOption = Path("pki")) -> None:
    """List the certificates with their expiry and the fingerprint that `[[clients]]` wants."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("node", "valid until", "certificate_sha256"):
        table.add_column(name, overflow="fold")
    for path in sorted(directory.glob("*.crt")):
        certificate = pki.load(path)
        table.add_row(path.stem, certificate.not_valid_after_utc.strftime("%Y-%m-%d"), pki.fingerprint(path))
    if not table.row_count:
        err.print(escape(f"There are no certificates in {directory}: `maillage pki init` makes an authority."))
        raise typer.Exit(1)
    out.print(table)
