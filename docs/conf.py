"""Settings of the documentation, which `make docs` builds into out/docs."""

from pathlib import Path
import sys
import xml.etree.ElementTree as ElementTree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'scripts'))

project = 'sara_ros'
copyright = 'sara_ros maintainers'
release = ElementTree.parse(ROOT / 'package.xml').findtext('version')
extensions = ['myst_parser', 'reference']
exclude_patterns = ['examples']
nitpicky = True
myst_enable_extensions = ['attrs_inline', 'colon_fence', 'deflist']
myst_heading_anchors = 3
smartquotes = False

html_theme = 'furo'
html_title = f'sara_ros {release}'
html_static_path = ['_static']
html_css_files = ['sara_ros.css']
html_copy_source = False
html_show_sphinx = False
