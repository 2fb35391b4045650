// interleaved A/B: node scratch.mjs kept|new N dirA dirB ...
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './est/child.ts';
import { each, keptConnections, post } from './est/enrolment-client.ts';
import { embedded } from './est/environment.ts';
import { bootstrapDevices, enrolmentsOf, serverIdentity } from './est/preparation.ts';
const [,,kind='kept',n='2000',...dirs]=process.argv; const N=Number(n), prof=process.env.PROF; const R=Number(process.env.R??16);
if(!dirs.length)dirs.push('/work/main');
const execArgv=process.env.EXEC?process.env.EXEC.split(' '):[];
const W=600;
const width=Number(process.env.WIDTH??(kind==='kept'?8:4));
const sides=[];
for(const d of dirs){
 const dataDir = mkdtempSync(join(tmpdir(), 'signet-bench-'));
 const server = startChild(`file://${d}/bench/est/enrolment-server.ts`, { env: embedded(dataDir), execArgv });
 const port = await server.ask({}); const anchors = await server.ask({ ask: 'anchors' });
 const devices = await bootstrapDevices(server, kind==='kept'?1:W/2+N, anchors);
 const list = kind==='kept'? Array(N+W).fill(devices[0]) : devices;
 const en = await enrolmentsOf(server, list, 'x');
 sides.push({d,dataDir,server,port,anchors,en,agent:kind==='kept'?keptConnections(width):false});
}
const bare = startChild('./bare-server.ts');
const barePort = await bare.ask(serverIdentity(sides[0].dataDir)); const bagent=kind==='kept'?keptConnections(width):false;
const cpuBare=()=>bare.ask({ask:'cpu'});
const run=(b,p,s,ag)=>each(b,width,async e=>{await post({port:p,anchors:s.anchors},e,ag)});
try{
for(const s of sides){const w0=s.en.length-N; await run(s.en.slice(0,w0),s.port,s,s.agent);} 
await run(sides[0].en.slice(0,300),barePort,sides[0],bagent);
if(prof)await sides[0].server.ask({ask:'profile'});
const rows=[];
for(let r=0;r<R;r++){
 const row={};
 const b=sides[0].en.slice(600+r*N/R,600+(r+1)*N/R).slice(0,60);
 let t=await cpuBare(); await run(b,barePort,sides[0],bagent); row.bare=((await cpuBare())-t)/b.length;
 const order=r%2?[...sides].reverse():sides;
 for(const s of order){const w0=s.en.length-N;const b=s.en.slice(w0+r*N/R,w0+(r+1)*N/R);
  const a=await s.server.ask({ask:'cpu'}); await run(b,s.port,s,s.agent); const c=await s.server.ask({ask:'cpu'});
  row[s.d]=(c.process-a.process)/b.length; row[s.d+'m']=(c.mainThread-a.mainThread)/b.length;row[s.d+'g']=(c.groups-a.groups)/b.length;}
 rows.push(row);
}
if(prof)await sides[0].server.ask({ask:'profile',file:prof});
const med=f=>{const v=rows.map(f).toSorted((a,b)=>a-b);return v[v.length>>1]}; const min=f=>Math.min(...rows.map(f));
console.log(kind,'bare',med(r=>r.bare).toFixed(3),'min',min(r=>r.bare).toFixed(3));
for(const s of sides)console.log(s.d.padEnd(12),'process',med(r=>r[s.d]).toFixed(3),'min',min(r=>r[s.d]).toFixed(3),'main',med(r=>r[s.d+'m']).toFixed(3),'min',min(r=>r[s.d+'m']).toFixed(3),'vs first: process',med(r=>r[s.d]/r[dirs[0]]).toFixed(3),'main',med(r=>r[s.d+'m']/r[dirs[0]+'m']).toFixed(3),'groups/op',med(r=>r[s.d+'g']).toFixed(2),'vs bare',med(r=>r[s.d]/r.bare).toFixed(2));
}finally{for(const s of sides){s.server[Symbol.dispose]();rmSync(s.dataDir,{recursive:true,force:true})}bare[Symbol.dispose]();}
process.exit();
