"""The catalogue of products: their names at the provider, their licences and credits.

Dataset ids are starting points: `copernicus` asks the service whether they exist and which dates,
levels and regions they hold.

What a satellite product resolves is a wavelength: a wave of that length has half its amplitude in
it. It is nominal, because it varies with place and time: about 200 km at mid latitudes for DUACS,
100 to 800 km from pole to equator (Ballarotta et al. 2019). OSTIA's and the salinity product's are
those of means over some 30 and 60 km (the width at half height of a Gaussian, 0.44 wavelengths).
Noise is Gaussian in space: its correlation is 1/e at the stated length.

Reference: OSTIA: Good et al. 2020, doi 10.3390/rs12040720; DUACS: Ballarotta et al. 2019, doi
10.5194/os-15-1091-2019, and Taburet et al. 2019, doi 10.5194/os-15-1207-2019; salinity: Droghei et
al. 2018, doi 10.3389/fmars.2018.00084.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["SOURCES", "Source"]


COPERNICUS = (
    "Copernicus Marine Service licence, "
    "https://marine.copernicus.eu/user-corner/service-commitments-and-licence"
)
CREDIT = "Generated using E.U. Copernicus Marine Service Information; "


@dataclass(frozen=True)
class Source:
    """A product.

    Args:
        title: name and content, for people.
        licence: the licence under which it may be used.
        credit: the acknowledgement that its provider asks for.
        grid: resolution, levels, cadence and quantity, in words.
        product_id: its id at Copernicus Marine.
        datasets: dataset ids at Copernicus Marine, in order of time; later ones may not exist.
        variables: names of the variables that are always taken from its files.
        further: names of others that its files hold, by what they are: `salinity`, `sea_level`.
        sees: the surface field that a satellite product shows, of `conventions.SURFACES`, else "".
        resolution: wavelength that a satellite product shows at half its amplitude, km.
        correlation: length at which the correlation of its noise is 1/e, km.
        error: standard deviation of its noise, in the unit of the surface field.
    """

    title: str
    licence: str
    credit: str
    grid: str = ""
    product_id: str = ""
    datasets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    further: Mapping[str, str] = field(default_factory=dict)
    sees: str = ""
    resolution: float = 0.0
    correlation: float = 0.0
    error: float = 0.0


GLORYS12 = Source(
    title="GLORYS12V1, global ocean reanalysis, monthly means",
    licence=COPERNICUS,
    credit=CREDIT + "Mercator Ocean International, GLORYS12V1, https://doi.org/10.48670/moi-00021",
    grid="1/12°, 50 levels, monthly, potential temperature, salinity, sea level above the geoid",
    product_id="GLOBAL_MULTIYEAR_PHY_001_030",
    datasets=("cmems_mod_glo_phy_my_0.083deg_P1M-m", "cmems_mod_glo_phy_myint_0.083deg_P1M-m"),
    variables=("thetao",),
    further={"salinity": "so", "sea_level": "zos"},
)
SOURCES = {
    "demo": Source(
        title="Demo ocean, version 2: synthetic temperature, salinity and sea level, with floats",
        licence="MIT",
        credit="Synthetic demo ocean of ocean_lib; not an observation of any real ocean",
        grid="1/12°, 50 levels, monthly, potential temperature and salinity",
    ),
    "netcdf": Source(
        title="Your own NetCDF or Zarr files",
        licence="as stated by their owner",
        credit="as stated by their owner",
    ),
    "glorys12": GLORYS12,
    "glorys12_daily": replace(
        GLORYS12,
        title="GLORYS12V1, global ocean reanalysis, daily means",
        grid="1/12°, 50 levels, daily, potential temperature, salinity, sea level above the geoid",
        datasets=("cmems_mod_glo_phy_my_0.083deg_P1D-m", "cmems_mod_glo_phy_myint_0.083deg_P1D-m"),
    ),
    "armor3d": Source(
        title="ARMOR3D, observation-based temperature and salinity, monthly means",
        licence=COPERNICUS,
        credit=CREDIT + "CLS, ARMOR3D, https://doi.org/10.48670/moi-00052",
        grid="1/8°, 50 levels, monthly, in-situ temperature with salinity, made potential",
        product_id="MULTIOBS_GLO_PHY_TSUV_3D_MYNRT_015_012",
        datasets=(
            "cmems_obs-mob_glo_phy_my_0.125deg_P1M-m",
            "cmems_obs-mob_glo_phy_nrt_0.125deg_P1M-m",
        ),
        variables=("to", "so"),
        further={"salinity": "so", "sea_level": "zo"},
    ),
    "ostia": Source(
        title="OSTIA, foundation temperature of the sea surface from satellites and in situ",
        licence=COPERNICUS,
        credit=CREDIT + "UK Met Office, OSTIA, https://doi.org/10.48670/moi-00168",
        grid="1/20°, daily, kelvin",
        product_id="SST_GLO_SST_L4_REP_OBSERVATIONS_010_011",
        datasets=("METOFFICE-GLO-SST-L4-REP-OBS-SST", "METOFFICE-GLO-SST-L4-NRT-OBS-SST-V2"),
        variables=("analysed_sst",),
        sees="surface_temperature",
        resolution=75.0,
        correlation=55.0,
        error=0.3,
    ),
    "duacs": Source(
        title="DUACS, sea level anomaly from all altimeters, monthly means",
        licence=COPERNICUS,
        credit=CREDIT + "CLS, DUACS, https://doi.org/10.48670/moi-00148",
        grid="1/8°, monthly, m above a twenty-year mean",
        product_id="SEALEVEL_GLO_PHY_L4_MY_008_047",
        datasets=(
            "cmems_obs-sl_glo_phy-ssh_my_allsat-l4-duacs-0.125deg_P1M-m",
            "cmems_obs-sl_glo_phy-ssh_myint_allsat-l4-duacs-0.125deg_P1D",
        ),
        variables=("sla",),
        sees="sea_level",
        resolution=200.0,
        correlation=100.0,
        error=0.02,
    ),
    "multiobs": Source(
        title="MULTIOBS, salinity of the sea surface from satellites and in situ, monthly means",
        licence=COPERNICUS,
        credit=CREDIT + "CNR, MULTIOBS surface salinity, https://doi.org/10.48670/moi-00051",
        grid="1/8°, monthly, practical salinity",
        product_id="MULTIOBS_GLO_PHY_S_SURFACE_MYNRT_015_013",
        datasets=(
            "cmems_obs-mob_glo_phy-sss_my_multi_P1M",
            "cmems_obs-mob_glo_phy-sss_nrt_multi_P1M",
        ),
        variables=("sos",),
        sees="surface_salinity",
        resolution=140.0,
        correlation=100.0,
        error=0.15,
    ),
}
