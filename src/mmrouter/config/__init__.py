"""The config file: its schema, its reader, its presets."""

from mmrouter.config.load import load_config, parse_config, preset_names
from mmrouter.config.schema import Config

__all__ = ["Config", "load_config", "parse_config", "preset_names"]
