# Writes the Parquet files of this folder, the way the library datasets of Hugging Face lays them out: python make.py .
# Made with pyarrow 26.0.1 and Pillow.
import io, json, os, sys
import pyarrow as pa, pyarrow.parquet as pq
from PIL import Image
out=sys.argv[1]
def png(k,h=5,w=4):
    m=Image.new("RGB",(w,h))
    m.putdata([((40*x+k)%256,(40*y+3*k)%256,(10*(x+y)+7*k)%256) for y in range(h) for x in range(w)])
    b=io.BytesIO(); m.save(b,"PNG"); return b.getvalue()
names=["cat","dog","owl"]
hf={"info":{"features":{"image":{"_type":"Image"},"label":{"names":names,"_type":"ClassLabel"}}}}
schema=pa.schema([("image",pa.struct([("bytes",pa.binary()),("path",pa.string())])),("label",pa.int64())],metadata={"huggingface":json.dumps(hf)})
def table(ks,name="image"):
    s=pa.schema([pa.field(name,schema.field("image").type),schema.field("label")],metadata=schema.metadata)
    return pa.table([[{"bytes":png(k),"path":None if k%2 else f"{k}.png"} for k in ks],[k%3 for k in ks]],schema=s)
os.makedirs(out+"/shards",exist_ok=True)
for i,ks in enumerate([range(0,7),range(7,13)]):
    pq.write_table(table(ks),f"{out}/shards/train-{i:05d}-of-00002.parquet",row_group_size=4)
pq.write_table(table(range(20,26)),f"{out}/shards/test-00000-of-00001.parquet")
for codec in ["none","gzip","zstd","snappy"]:
    for v in ["1.0","2.0"]:
        pq.write_table(table(range(0,9)),f"{out}/{codec}-v{v[0]}.parquet",compression=codec,data_page_version=v,write_page_checksum=(codec=="gzip"),use_dictionary=(codec!="zstd"),data_page_size=300,write_batch_size=2)
t=pa.table({"file":[f"{k%3}/{k}.png" for k in range(6)],"class":pa.array(["x","y","x","y","x","y"]).dictionary_encode(),"split":["train"]*4+["test"]*2,"extra":[1.5]*6})
pq.write_table(t,f"{out}/manifest.parquet")
pq.write_table(pa.table({"img":[png(k) for k in range(4)],"y":pa.array([True,False,True,False])}),f"{out}/flat.parquet",data_page_version="2.0")
pq.write_table(pa.table({"image":[{"bytes":png(k)} for k in range(4)],"label":[1,2,None,1]}),f"{out}/null-label.parquet")
pq.write_table(pa.table({"image":[{"bytes":png(k)} for k in range(4)],"label":[[1],[2],[1],[1]]}),f"{out}/list-label.parquet")
pq.write_table(pa.table({"image":[{"bytes":png(k)} for k in range(4)],"label":[1,2,1,1]}),f"{out}/delta.parquet",use_dictionary=False,column_encoding={"label":"DELTA_BINARY_PACKED"})
pq.write_table(pa.table({"image":[{"bytes":png(k)} for k in range(4)],"label":[1,2,1,1]}),f"{out}/brotli.parquet",compression="brotli")
for name, labels in [("label-range",[0,1,3,1]),("label-negative",[0,-1,1,1])]:
    pq.write_table(pa.table([[{"bytes":png(k),"path":None} for k in range(4)],labels],schema=schema),f"{out}/{name}.parquet")
odd={"huggingface":json.dumps({"info":{"features":{"scan":{"_type":"Image"},"id":{"dtype":"int64","_type":"Value"},"finding":{"names":["none","some"],"_type":"ClassLabel"}}}})}
pq.write_table(pa.table([range(4),[{"bytes":png(k)} for k in range(4)],[1,0,0,1]],schema=pa.schema([("id",pa.int64()),("scan",pa.struct([("bytes",pa.binary())])),("finding",pa.int64())],metadata=odd)),f"{out}/features.parquet")
