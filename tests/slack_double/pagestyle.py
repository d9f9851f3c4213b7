"""The page's style sheet: Slack's light theme in broad strokes."""

STYLE = """
*{box-sizing:border-box}body{margin:0;font:15px/1.46 Lato,"Noto Sans","DejaVu Sans",Arial,sans-serif;color:#1d1c1d}
body>header{border-bottom:1px solid #ddd;padding:10px 20px;position:sticky;top:0;background:#fff}
h1{font-size:18px;margin:0}header p{margin:2px 0;color:#616061;font-size:13px}
nav{font-size:13px;color:#616061}nav>*{margin-right:14px}
main{padding:10px 20px;max-width:900px}article{margin:0 0 14px}
.message{display:flex;gap:9px;padding:4px 0}.message>div{flex:1;min-width:0}
.message:target{background:#fff8e0}
.avatar{width:36px;height:36px;border-radius:4px;color:#fff;display:grid;place-items:center;font-weight:bold;flex:none}
.avatar.bot{background:#4a154b}.avatar.human{background:#36768a}
h2{font-size:15px;margin:0}h2 time,h2 small{font-size:12px;font-weight:normal;color:#616061}
.app{font-size:10px;background:#e8e8e8;color:#616061;border-radius:2px;padding:0 3px;margin-left:5px;vertical-align:1px}
h3{font-size:18px;margin:6px 0}p{margin:4px 0;overflow-wrap:anywhere}hr{border:0;border-top:1px solid #ddd}
.section{display:flex;gap:12px;align-items:start}.section>div{flex:1;min-width:0}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:6px 16px}
.context{font-size:13px;color:#616061}.note{font-size:12px;color:#616061;margin:0}
.button{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:3px 12px;margin:2px 8px 2px 0;
font-weight:bold;font-size:14px;white-space:nowrap}
.primary{background:#007a5a;border-color:#007a5a;color:#fff}.danger{background:#e01e5a;border-color:#e01e5a;color:#fff}
.input{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:3px 12px;margin-right:8px;color:#616061}
.attachment{border-left:4px solid;border-radius:2px;padding:2px 0 2px 12px;margin:6px 0}
.thread{margin:2px 0 0 45px;border-left:2px solid #e8e8e8;padding-left:12px}
.thread summary{color:#1264a3;font-size:13px;font-weight:bold;cursor:pointer}
.ephemeral{background:#f8f8f8}.modal{border:1px solid #ddd;border-radius:8px;padding:12px 20px;margin:14px 0;
max-width:520px;box-shadow:0 2px 12px #0002}label{display:block;font-weight:bold}.error{color:#e01e5a;font-size:13px}
.mention{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
a{color:#1264a3;text-decoration:none}code{background:#f4f4f4;border:1px solid #ddd;border-radius:3px;color:#c01343;
font-size:12px;padding:1px 3px}pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;margin:4px 0;
font-size:12px;overflow-x:auto;white-space:pre-wrap}q{display:block;border-left:4px solid #ddd;padding-left:10px;
quotes:none}form{display:inline}button{font:inherit;background:#fff;cursor:pointer}.channels{padding:8px 20px;
background:#4a154b}.channels a{color:#e8d8e8;margin-right:14px}.channels .here{color:#fff;font-weight:bold}
textarea,select{display:block;width:100%;font:inherit;margin:3px 0}.actions{margin:6px 0}figure{margin:6px 0}
figcaption{font-size:13px;color:#616061}img{max-width:min(480px,100%);border:1px solid #ddd;
border-radius:6px;display:block;margin-top:4px}
@media (max-width:600px){main,body>header{padding:8px 10px}.fields{grid-template-columns:1fr}.thread{margin-left:8px}
.avatar{width:26px;height:26px}}
"""
