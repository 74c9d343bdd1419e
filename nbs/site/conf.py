"How Sphinx makes the book of the notebooks; `make site` calls it."
project = 'EncGAN3'
author = 'The encgan3 authors'
copyright = author # at the foot of each page
extensions = ['myst_nb', 'sphinxext.opengraph'] # the latter: what a link to a page shows
nb_execution_mode = 'off' # outputs are those stored in the notebooks
nb_render_markdown_format = 'myst' # outputs may have tables
nb_ipywidgets_js = {} # would be loaded from elsewhere, and needs a kernel
myst_enable_extensions = ['dollarmath', 'amsmath']
myst_dmath_double_inline = True # $$...$$ in the middle of a paragraph
myst_heading_anchors = 3
suppress_warnings = ['mystnb.unknown_mime_type', 'myst.header', 'myst.xref_missing']
ogp_image = '_images/swap.gif'
ogp_image_alt = 'People exchange what they do: rows give who, columns give what'
ogp_social_cards = {'enable': False}
html_theme = 'furo'
html_title = 'EncGAN3'
html_favicon = 'static/icon.svg'
html_static_path = ['static']
html_css_files = ['book.css']
html_js_files = ['book.js']
html_copy_source = False
html_show_sphinx = False
mathjax_path = 'mathjax/tex-svg.js' # copied there, from npm
html_theme_options = {'announcement': '<a href="explorer/index.html">Explorer: change who or what moves</a>'}
