"""The config file: its schema, its reader, its presets."""

from mmrouter.config.load import database_url, load_config, parse_config, preset_names
from mmrouter.config.schema import Config

__all__ = ["Config", "database_url", "load_config", "parse_config", "preset_names"]
